"""The words of what an alarm rule may watch besides single values: control charts, KPIs of shifts, energy."""

from __future__ import annotations

from protocols.text import Text

SIGNALS = Text("Which charts signal", "发出信号的控制图")
CHARTS = {
    "western_electric": Text("Western Electric rules", "西电规则"),
    "trend": Text("six in a row rising or falling", "连续六点上升或下降"),
    "cusum": Text("CUSUM: a lasting shift", "CUSUM：持续偏移"),
    "ewma": Text("EWMA: a small lasting shift", "EWMA：小幅持续偏移"),
    "spread": Text("range or standard deviation", "极差或标准差"),
}
CALM = Text("Normal after so many points without a signal", "连续多少点无信号后恢复")
FROZEN_ONLY = Text(
    "Watched are points whose control limits were frozen on the page of process control.",
    "仅监视已在“过程控制”页面冻结控制限的数据点。",
)
KPI, OF = Text("KPI", "指标"), Text("of", "统计范围")
SHIFTS = {
    "last_shift": Text("the last shift, once it is over", "上一班次（结束后）"),
    "running_shift": Text("the shift that lasts", "当前班次"),
}
KPI_LOW = Text("Too low below (%; min for times)", "偏低 <（%；时间类为分钟）")
KPI_HIGH = Text("Too high above (%; min for times)", "偏高 >（%；时间类为分钟）")
LEAST_MINUTES = Text("after so much planned time (min)", "计划时间不少于 (min)")
ENERGY_FIGURE = Text("Energy figure", "能耗指标")
ENERGY_DAYS = {"today": Text("today so far", "今日至今"), "yesterday": Text("yesterday", "昨日")}
ENERGY_LOW = Text("Too low below (in its unit)", "偏低 <（按指标单位）")
ENERGY_HIGH = Text("Too high above (in its unit)", "偏高 >（按指标单位）")
ENERGY_DEADBAND = Text("Back to normal by so much", "回差")
ENERGY_NOTE = Text(
    "Demand is what the running quarter of an hour comes to, if the load of its last five minutes lasts: it is told before the"
    " contract is exceeded. Where too little was measured nothing is said; trying the rule shows why.",
    "需量为本 15 分钟的预计值（按最近 5 分钟负荷推算），可在超出合同需量之前预警。读数不足时不报警，试算可查看原因。",
)
