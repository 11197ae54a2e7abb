-- What another machine says of a part comes after its inspection.

GRANT UPDATE (shadow_model, shadow_version, shadow_verdict, shadow_score, shadow_latency_us) ON inspection TO sunmao_app;
