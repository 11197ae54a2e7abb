"""Notify: ways to tell people - e-mail, webhooks, group robots - and the durable outbox behind them."""
