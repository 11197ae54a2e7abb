"""The roles and scopes in words, for those who hand them out and those who wonder what they may."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from cloud.core.principal import Role, Scope
from cloud.identity.schemas import Reach
from cloud.web.visit import Visit
from cloud.web.words import Mark
from protocols.text import Text

ROLES: Mapping[Role, Text] = MappingProxyType(
    {
        Role.NONE: Text("No access", "无权限"),
        Role.VIEWER: Text("Viewer", "查看者"),
        Role.OPERATOR: Text("Operator", "操作员"),
        Role.ENGINEER: Text("Engineer", "工程师"),
        Role.MANAGER: Text("Manager", "经理"),
        Role.OWNER: Text("Owner", "所有者"),
    }
)
MEANINGS: Mapping[Role, Text] = MappingProxyType(
    {
        Role.NONE: Text("sees only what is granted by place", "仅可见按位置授权的范围"),
        Role.VIEWER: Text("sees readings, alarms and figures", "可查看数据、报警与指标"),
        Role.OPERATOR: Text("also judges parts and explains stops", "还可判定工件、填写停机原因"),
        Role.ENGINEER: Text("also connects and configures machines", "还可接入与配置设备"),
        Role.MANAGER: Text("also manages people and reads the audit log", "还可管理人员、查看审计日志"),
        Role.OWNER: Text("also makes and unmakes owners", "还可任免所有者"),
    }
)
GRANTED = (Role.NONE, Role.VIEWER, Role.OPERATOR, Role.ENGINEER)
"""The roles that can be given at a place."""
SCOPES: Mapping[Scope, Text] = MappingProxyType(
    {
        Scope.READ: Text("Read", "读取"),
        Scope.OPERATE: Text("Operate", "操作"),
        Scope.ENGINEER: Text("Configure", "配置"),
        Scope.ADMIN: Text("Administrate", "管理"),
    }
)
_BY_COMPANY = Text("role of the company", "企业角色")
_BY_GRANT = Text("granted at {path}", "授权于 {path}")


def role_mark(role: Role) -> Mark:
    """Return the role as a mark."""
    return Mark(ROLES[role], "off" if role is Role.NONE else "idle" if role is Role.VIEWER else "good")


def decision(visit: Visit, reach: Reach) -> str:
    """Return where a person's role at a place comes from."""
    return visit.say(_BY_GRANT, path=reach.decided_at) if reach.decided_at else visit.say(_BY_COMPANY)
