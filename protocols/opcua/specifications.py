"""The companion specifications a server may know, by their namespace URIs (opcfoundation.org, "UA Companion Specifications")."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

SPECIFICATIONS: Mapping[str, str] = {
    "http://opcfoundation.org/UA/DI/": "OPC 10000-100 Devices",
    "http://opcfoundation.org/UA/IA/": "OPC 10000-200 Industrial Automation",
    "http://opcfoundation.org/UA/AMB/": "OPC 10000-110 Asset Management Basics",
    "http://opcfoundation.org/UA/AutoID/": "OPC 30010 AutoID",
    "http://opcfoundation.org/UA/ADI/": "OPC 10020 Analyser Devices",
    "http://PLCopen.org/OpcUa/IEC61131-3/": "OPC 30000 PLCopen, IEC 61131-3",
    "http://www.OPCFoundation.org/UA/2013/01/ISA95": "OPC 10030 ISA-95",
    "http://opcfoundation.org/UA/ISA95-JOBCONTROL_V2/": "OPC 10031-4 ISA-95 job control",
    "http://opcfoundation.org/UA/PackML/": "OPC 30050 PackML",
    "http://opcfoundation.org/UA/MTConnect/v2/": "OPC 30070 MTConnect",
    "http://opcfoundation.org/UA/PADIM/": "OPC 30081 Process Automation Devices",
    "http://opcfoundation.org/UA/IOLink/": "OPC 30120 IO-Link",
    "http://opcfoundation.org/UA/PROFINET/": "OPC 30140 PROFINET",
    "http://opcfoundation.org/UA/LADS/": "OPC 30500 Laboratory and Analytical Devices",
    "http://opcfoundation.org/UA/Machinery/": "OPC 40001-1 Machinery",
    "http://opcfoundation.org/UA/Machinery/ProcessValues/": "OPC 40001-2 Machinery, process values",
    "http://opcfoundation.org/UA/Machinery/Jobs/": "OPC 40001-3 Machinery, job management",
    "http://opcfoundation.org/UA/Machinery/Energy/": "OPC 40001-4 Machinery, energy management",
    "http://opcfoundation.org/UA/Machinery/Result/": "OPC 40001-101 Machinery, result transfer",
    "http://opcfoundation.org/UA/Robotics/": "OPC 40010 Robotics",
    "http://opcfoundation.org/UA/PlasticsRubber/IMM2MES/": "OPC 40077 Injection moulding machines to MES (EUROMAP 77)",
    "http://www.euromap.org/euromap77/": "EUROMAP 77 Injection moulding machines to MES",
    "http://opcfoundation.org/UA/PlasticsRubber/LDS/": "OPC 40082-3 Liquid silicone dosing (EUROMAP 82.3)",
    "http://opcfoundation.org/UA/PlasticsRubber/TCD/": "OPC 40082-1 Temperature control devices (EUROMAP 82.1)",
    "http://www.euromap.org/euromap82_1/": "EUROMAP 82.1 Temperature control devices",
    "http://opcfoundation.org/UA/PlasticsRubber/HotRunner/": "OPC 40082-2 Hot runner devices (EUROMAP 82.2)",
    "http://www.euromap.org/euromap82_2/": "EUROMAP 82.2 Hot runner devices",
    "http://opcfoundation.org/UA/PlasticsRubber/GeneralTypes/": "OPC 40083 Plastics and Rubber, general types",
    "http://www.euromap.org/euromap83/": "EUROMAP 83 Plastics and Rubber, general types",
    "http://opcfoundation.org/UA/PlasticsRubber/Extrusion/GeneralTypes/": "OPC 40084 Extrusion, general types",
    "http://opcfoundation.org/UA/PlasticsRubber/Extrusion_v2/GeneralTypes/": "OPC 40084 Extrusion, general types",
    "http://opcfoundation.org/UA/PlasticsRubber/Extrusion/Extruder/": "OPC 40084-3 Extruder",
    "http://opcfoundation.org/UA/PlasticsRubber/Extrusion_v2/Extruder/": "OPC 40084-3 Extruder",
    "http://opcfoundation.org/UA/PlasticsRubber/Dosing/": "OPC 40086 Dosing systems",
    "http://opcfoundation.org/UA/MachineVision": "OPC 40100 Machine Vision",
    "http://opcfoundation.org/UA/Scales/V2/": "OPC 40200 Weighing technology",
    "http://opcfoundation.org/UA/Pumps/": "OPC 40223 Pumps and vacuum pumps",
    "http://opcfoundation.org/UA/CAS/": "OPC 40250 Compressed air systems",
    "http://opcfoundation.org/UA/Glass/Flat/": "OPC 40301 Flat glass",
    "http://opcfoundation.org/UA/Glass/Flat/v2/": "OPC 40301 Flat glass",
    "http://opcfoundation.org/UA/Powertrain/": "OPC 40400 Powertrain",
    "http://opcfoundation.org/UA/IJT/Base/": "OPC 40450 Industrial joining technologies",
    "http://opcfoundation.org/UA/IJT/Tightening/": "OPC 40451 Tightening systems",
    "http://opcfoundation.org/UA/MachineTool/": "OPC 40501 Machine Tools",
    "http://opcfoundation.org/UA/CNC": "OPC 40502 CNC",
    "http://opcfoundation.org/UA/LaserSystems/": "OPC 40530 Laser systems",
    "http://opcfoundation.org/UA/AdditiveManufacturing/": "Additive manufacturing",
    "http://opcfoundation.org/UA/Woodworking/": "OPC 40550 Woodworking",
    "http://opcfoundation.org/UA/Eumabois/": "OPC 40550 Woodworking, EUMABOIS",
    "http://opcfoundation.org/UA/MetalForming/": "Metal forming",
    "http://opcfoundation.org/UA/WireHarness/": "Wire harness manufacturing",
    "http://opcfoundation.org/UA/SurfaceTechnology/GeneralTypes/": "Surface technology, general types",
    "http://opcfoundation.org/UA/Weihenstephan/": "Weihenstephan standards",
    "http://opcfoundation.org/UA/TMC/v2/": "OPC 30060 Tobacco machines",
}
"""Namespace URI -> published specification."""

FAMILIES: Mapping[str, str] = {
    "http://opcfoundation.org/UA/PlasticsRubber/": "OPC 40082 to 40086 Plastics and Rubber",
    "http://opcfoundation.org/UA/SurfaceTechnology/": "Surface technology",
    "http://opcfoundation.org/UA/Mining/": "Mining",
    "http://opcfoundation.org/UA/Glass/": "OPC 40301 Glass",
    "http://opcfoundation.org/UA/MachineVision/": "OPC 40100 Machine Vision",
}
"""Beginning of a URI -> family, for members not listed one by one."""


def specification(uri: str) -> str | None:
    """Return the companion specification of a namespace; None for one of a vendor's own."""
    if uri in SPECIFICATIONS:
        return SPECIFICATIONS[uri]
    return next((name for beginning, name in FAMILIES.items() if uri.startswith(beginning)), None)


def specifications(namespaces: Iterable[str]) -> list[str]:
    """Return the specifications of `namespaces`, each once, in their order."""
    return list(dict.fromkeys(name for uri in namespaces if (name := specification(uri)) is not None))
