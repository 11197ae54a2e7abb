"""HTTP of billing."""

from __future__ import annotations

from typing import Annotated, Literal, cast
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from cloud.billing.schemas import (
    Application,
    Bank,
    BankConversion,
    BankDeposit,
    BankLot,
    BankRate,
    BankRateSet,
    Bill,
    Booked,
    Budget,
    Charge,
    Decision,
    Deposit,
    Effect,
    Invoice,
    InvoiceOrder,
    Movement,
    PayOut,
    Pool,
    Refund,
    Voucher,
    VoucherProgramme,
    Wallet,
)
from cloud.billing.service import Billing, FocusForm
from cloud.core.access import Admin, Reader
from cloud.core.paging import Aged
from protocols.text import Language

router = APIRouter(prefix="/api/v1/billing", tags=["billing"])


def billing_of(request: Request) -> Billing:
    """Return the running cloud's billing."""
    return cast(Billing, request.app.state.billing)


BillingDoor = Annotated[Billing, Depends(billing_of)]
Month = Annotated[str, Query(pattern=r"^\d{4}-\d{2}$", description="A month of China, as 2026-11.")]
Side = Annotated[Literal["customer", "provider"], Query(description="What you are billed, or what you have earned.")]
_FORMS: dict[FocusForm, str] = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}
_TABLES: dict[int | str, dict[str, object]] = {200: {"content": {"text/csv": {}, _FORMS["parquet"]: {}}}}


@router.get("/wallet")
async def get_wallet(principal: Admin, billing: BillingDoor) -> Wallet:
    """Cash, vouchers, earnings and bond: what is there, what is held for jobs, what is free."""
    return await billing.wallet(principal.scope)


@router.put("/budget", status_code=204)
async def set_budget(principal: Admin, billing: BillingDoor, body: Budget) -> None:
    """Say what may be spent on computing in a month. A job that could exceed it is refused; most of it spent is told."""
    await billing.set_budget(principal, body)


@router.get("/movements")
async def list_movements(
    principal: Admin, billing: BillingDoor, older: Aged, before: Annotated[int | None, Query(ge=0, lt=2**63)] = None
) -> list[Movement]:
    """Every transfer of your accounts, newest first, 100 at a time; `before` is the seq of the last one seen."""
    return older.after(await billing.movements(principal.scope, before), 100, lambda one: one.seq)


@router.get("/bill")
async def get_bill(principal: Admin, billing: BillingDoor, month: Month, side: Side = "customer") -> Bill:
    """What was charged in a month."""
    return await billing.bill(principal.scope, month, side)


@router.get("/bill/focus", response_class=Response, responses=_TABLES)
async def export_bill(
    principal: Admin,
    billing: BillingDoor,
    *,
    month: Month,
    side: Side = "customer",
    form: Annotated[FocusForm, Query(alias="format")] = "csv",
) -> Response:
    """The same as a table of FOCUS 1.2, CSV or Parquet, with energy and carbon in columns that begin with x_."""
    content = await billing.focus(principal.scope, month, side, form)
    name = f'attachment; filename="focus-{month}-{side}.{form}"'
    return Response(
        content, media_type=_FORMS[form], headers={"Content-Disposition": name, "Cache-Control": "no-store"}
    )


@router.get("/invoices")
async def list_invoices(principal: Admin, billing: BillingDoor, side: Side = "customer") -> list[Invoice]:
    """Invoices you have got, or issued, newest first; at most 500."""
    return await billing.invoices.invoices(principal.scope, side)


@router.post("/invoices", status_code=201)
async def issue_invoices(principal: Admin, billing: BillingDoor, body: InvoiceOrder) -> list[Invoice]:
    """Issue an invoice to each customer for what you charged in a month and is on none yet, numbered without a gap."""
    return await billing.invoices.issue(principal, body.month)


@router.get(
    "/invoices/{invoice_id}/pdf", response_class=Response, responses={200: {"content": {"application/pdf": {}}}}
)
async def print_invoice(
    principal: Admin, billing: BillingDoor, invoice_id: UUID, language: Annotated[Language, Query()] = "zh"
) -> Response:
    """An invoice as a PDF, to its supplier and its customer."""
    file = await billing.invoices.printed(principal.scope, invoice_id, language)
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(file.name)}", "Cache-Control": "no-store"}
    return Response(file.content, media_type=file.media_type, headers=headers)


@router.post("/refunds", status_code=201)
async def refund_job(principal: Admin, billing: BillingDoor, body: Refund) -> list[Charge]:
    """Give back a part of what a job cost, as its provider. Returns all rows of the job, the corrections last."""
    return await billing.refund(principal, body)


@router.get("/bank")
async def get_bank(principal: Admin, billing: BillingDoor) -> Bank:
    """Prepaid hours: the rates that hold now, and your lots, those that expire first first."""
    return await billing.bank.bank(principal.scope)


@router.put("/bank/rates")
async def publish_bank_rate(principal: Admin, billing: BillingDoor, body: BankRateSet) -> BankRate:
    """Publish what hours of a chip cost from now on; the operator's. Lots that are there keep their terms."""
    return await billing.bank.publish(principal, body)


@router.post("/bank/deposits", status_code=201)
async def deposit_into_bank(principal: Admin, billing: BillingDoor, body: BankDeposit) -> BankLot:
    """Buy hours of a chip with cash at the rate that holds now."""
    return await billing.bank.deposit(principal, body)


@router.post("/bank/conversions", status_code=201)
async def convert_hours(principal: Admin, billing: BillingDoor, body: BankConversion) -> list[BankLot]:
    """Turn hours of one chip into another's by the rates that hold now; their end stays what it was."""
    return await billing.bank.convert(principal, body)


@router.get("/programmes")
async def list_voucher_programmes(principal: Reader, billing: BillingDoor) -> list[VoucherProgramme]:
    """The programmes whose rules are known, those that are open here first."""
    return await billing.vouchers.programmes(principal.scope)


@router.get("/vouchers")
async def list_vouchers(principal: Admin, billing: BillingDoor) -> list[Voucher]:
    """Your vouchers and applications, newest first."""
    return await billing.vouchers.own(principal.scope)


@router.post("/vouchers", status_code=201)
async def apply_for_voucher(principal: Admin, billing: BillingDoor, body: Application) -> Voucher:
    """Apply for a voucher: six fields; name and credit code are known."""
    return await billing.vouchers.apply(principal, body)


@router.post("/vouchers/{voucher_id}/withdrawal")
async def withdraw_application(principal: Admin, billing: BillingDoor, voucher_id: UUID) -> Voucher:
    """Take an application back before it is decided."""
    return await billing.vouchers.withdraw(principal, voucher_id)


@router.get("/applications")
async def list_applications(principal: Admin, billing: BillingDoor) -> list[Voucher]:
    """All companies' vouchers and applications, newest first; the operator's."""
    return await billing.vouchers.applications(principal.scope)


@router.post("/applications/{voucher_id}/decision")
async def decide_application(principal: Admin, billing: BillingDoor, voucher_id: UUID, body: Decision) -> Voucher:
    """Grant an application, or turn it down; the operator's. The company is told."""
    return await billing.vouchers.decide(principal, voucher_id, body)


@router.get("/effect")
async def get_effect(principal: Admin, billing: BillingDoor) -> list[Effect]:
    """What each programme has brought about; the operator's."""
    return await billing.vouchers.effect(principal.scope)


@router.post("/pools", status_code=204)
async def open_pool(principal: Admin, billing: BillingDoor, body: Pool) -> None:
    """Open a programme with money, or add to it; the operator's."""
    await billing.till.open_pool(principal, body)


@router.post("/deposits", status_code=201)
async def book_deposit(principal: Admin, billing: BillingDoor, body: Deposit) -> Booked:
    """Book money that a company paid in; the operator's. The same reference books nothing twice."""
    return await billing.till.deposit(principal, body)


@router.post("/payouts", status_code=201)
async def book_payout(principal: Admin, billing: BillingDoor, body: PayOut) -> Booked:
    """Book money that was paid to a company; the operator's. The same reference books nothing twice."""
    return await billing.till.pay_out(principal, body)
