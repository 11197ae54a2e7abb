"""What billing takes and gives. Amounts are yuan with six decimals at most, times UTC."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from cloud.core.instants import Instant

Applicant = Literal["enterprise", "startup", "institute", "one_person"]
VoucherState = Literal["applied", "issued", "rejected", "withdrawn", "expired"]


def _spent(amount: Decimal) -> Decimal:
    exponent = amount.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -6:
        raise ValueError("at most six decimals / 最多六位小数")
    return amount


Yuan = Annotated[Decimal, Field(gt=0, le=1_000_000_000, allow_inf_nan=False), AfterValidator(_spent)]
Words = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]*\S[^\x00-\x1f]*$")]
CreditCode = Annotated[str, Field(pattern=r"^[0-9A-HJ-NP-RTUW-Y]{18}$")]


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Balance(BaseModel):
    """One account: what is there, what of it is held for jobs, and what is free. `ref` is the voucher's id."""

    kind: str
    ref: str
    there: float
    held: float
    free: float


class Wallet(BaseModel):
    """The company's accounts. `operates`: it runs the market. `budget`: of a month, null where there is none."""

    operates: bool
    budget: float | None
    spent: float = Field(description="Charged since the month began in China, before vouchers.")
    accounts: list[Balance]

    def free(self, kind: str) -> float:
        """Return what is free of all accounts of a kind."""
        return sum(each.free for each in self.accounts if each.kind == kind)


class Budget(_Closed):
    """What may be spent on computing in a month of China, before vouchers; null: no limit."""

    monthly: Yuan | None


class Movement(BaseModel):
    """One transfer as the company sees it: negative where money went away; a hold only reserves."""

    seq: int
    id: UUID
    kind: Literal["single", "hold", "post", "void"]
    account: str
    amount: float
    reason: str
    ref: str
    at: datetime


class VoucherProgramme(BaseModel):
    """A programme: its rules, and whether it is open here."""

    code: str
    name_en: str
    name_zh: str
    flow: Literal["deduct_now", "reimburse"]
    highest_share: float
    source: str
    closes_at: datetime | None = Field(description="Null: no pool has been opened; nobody can apply.")


class Application(_Closed):
    """What a company says to get a voucher; name and credit code are known."""

    programme: Annotated[str, Field(max_length=40)]
    applicant: Applicant = "enterprise"
    fee: Yuan = Field(description="Fees expected within a year, before the voucher.")
    purpose: Words
    affiliates: Annotated[list[Words], Field(max_length=50)] = Field(
        [], description="Providers that belong together with the company; programmes that ban them pay nothing there."
    )
    contact: Words


class Decision(_Closed):
    """The operator's word on an application; `amount` None grants what the rules allow."""

    approve: bool
    amount: Yuan | None = None
    reason: Annotated[str, Field(max_length=500, pattern=r"^[^\x00]*$")] = ""


class Voucher(BaseModel):
    """An application and what became of it. `left`: what has not been redeemed, for the company itself."""

    id: UUID
    company: str
    credit_code: str
    programme: str
    applicant: Applicant
    fee: float
    purpose: str
    affiliates: list[str]
    contact: str
    state: VoucherState
    applied_at: datetime
    decided_at: datetime | None
    reason: str
    amount: float | None
    left: float | None = None
    valid_until: datetime | None


class Redeemed(BaseModel):
    """What was paid out on proof: the job records the voucher covers."""

    amount: float
    jobs: int


class Deposit(_Closed):
    """Money that came in, as the bank slip says. The same reference books nothing twice."""

    credit_code: CreditCode
    amount: Yuan
    account: Literal["cash", "bond"] = "cash"
    reference: Words


class PayOut(_Closed):
    """Money paid to a provider out of what it has earned, or given back of a company's cash or bond."""

    credit_code: CreditCode
    amount: Yuan
    account: Literal["payable", "cash", "bond"] = "payable"
    reference: Words


class Booked(BaseModel):
    """What was booked for whom."""

    company: str
    account: str
    amount: float


class Pool(_Closed):
    """Money of a programme, and until when it can be applied for."""

    programme: Annotated[str, Field(max_length=40)]
    amount: Yuan
    closes_at: Instant


class Effect(BaseModel):
    """What a programme has brought about (绩效).

    Attributes:
        days: from the application to the decision, mean.
        expired: granted and neither redeemed nor to be redeemed any more.
        leverage: own yuan spent per subsidised yuan.
    """

    programme: str
    applications: int
    granted_count: int
    granted: float
    redeemed: float
    jobs: int
    fees: float
    days: float
    leverage: float | None


class Charge(BaseModel):
    """A row of a bill. Prices per hour; `billed` is payable, negative for what is given back."""

    id: UUID
    category: Literal["Usage", "Credit", "Adjustment", "Purchase"]
    correction: bool
    job_id: UUID | None = Field(description="Null for prepaid hours that are bought, converted or over.")
    lot_id: UUID | None = Field(description="The prepaid hours that have paid it, or that it is about.")
    attempt: int
    description: str
    start_at: datetime
    end_at: datetime
    seconds: float
    price: float
    cost: float
    billed: float
    facts: dict[str, Any]
    made_at: datetime


class Bill(BaseModel):
    """The charges made in a month (of China), as the customer or the provider sees them."""

    month: str
    side: Literal["customer", "provider"]
    charges: list[Charge]
    cost: float
    prepaid: float = Field(description="What of the cost prepaid hours have paid; not payable any more.")
    credits: float
    billed: float


class Invoice(BaseModel):
    """What a supplier has charged a customer in a month, under its number: year and place in it."""

    id: UUID
    number: str
    supplier: str
    customer: str
    month: str
    rows: int
    amount: float = Field(description="To pay; negative where more was given back than charged.")
    issued_at: datetime


class InvoiceOrder(_Closed):
    """The month to issue invoices for."""

    month: Annotated[str, Field(pattern=r"^\d{4}-\d{2}$", description="A month of China, as 2026-11.")]


BankChip = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]


class BankRateSet(_Closed):
    """What an hour of a core ("cpu") or of a card of a chip costs when it is bought ahead, and by what terms."""

    chip: BankChip
    yuan_per_hour: Yuan
    days: int = Field(365, ge=1, le=1095, description="How long hours bought now can be spent.")
    fee_percent: float = Field(1.0, ge=0, le=50, description="Of the worth of what is converted from this chip.")
    back_percent: float = Field(50.0, ge=0, le=100, description="Of the money behind hours that expire: back as cash.")


class BankRate(BaseModel):
    """A rate that holds now."""

    chip: str
    yuan_per_hour: float
    days: int
    fee_percent: float
    back_percent: float
    published_at: datetime


class BankLot(BaseModel):
    """Hours bought or converted at one time: what was `bought` for what was `paid`, what jobs hold, and what is free."""

    id: UUID
    chip: str
    bought: float
    paid: float
    held: float
    hours: float
    money: float = Field(description="Behind the hours that are free: what whoever is paid by them gets.")
    made_at: datetime
    expires_at: datetime


class Bank(BaseModel):
    """The rates that hold now, and the company's lots, those that expire first first."""

    rates: list[BankRate]
    lots: list[BankLot]


class BankDeposit(_Closed):
    """Cash that becomes hours of a chip at the rate that holds now."""

    chip: BankChip
    amount: Yuan


class BankConversion(_Closed):
    """Hours of one chip that become another's."""

    chip: BankChip
    into: BankChip
    hours: Annotated[Decimal, Field(gt=0, le=1_000_000, allow_inf_nan=False)]


class Refund(_Closed):
    """A part of what a job cost is given back; the voucher gets its part of it."""

    job_id: UUID
    share: float = Field(gt=0, le=1)
    reason: Words
