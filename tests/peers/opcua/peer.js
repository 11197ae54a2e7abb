// An OPC UA server by node-opcua: `node peer.js PORT PKI_FOLDER LIMIT [NAMESPACE_URI ...]` (port 0 = the system's choice;
// LIMIT = nodes per call, 0 = it names no limit). The URIs are registered before the plant's own, and so move its index.
// Prints one line of JSON when it listens. On standard input it takes `add NAME`, a variable that was not there before, and
// `remove NAME`, which takes it away.
"use strict";
const path = require("node:path");
const {
  DataType, MessageSecurityMode, OPCUACertificateManager, OPCUAServer, SecurityPolicy, StatusCodes, VariantArrayType,
  standardUnits,
} = require("node-opcua");

async function main([port, pki, limit, ...namespaces]) {
  const manager = async (name) => {
    const made = new OPCUACertificateManager({
      rootFolder: path.join(pki, name), automaticallyAcceptUnknownCertificate: false,
    });
    await made.initialize();
    return made;
  };
  const server = new OPCUAServer({
    host: "127.0.0.1", hostname: "127.0.0.1", port: Number(port), resourcePath: "/peer",
    serverCertificateManager: await manager("applications"), userCertificateManager: await manager("users"),
    securityPolicies: [SecurityPolicy.None, SecurityPolicy.Basic256Sha256, SecurityPolicy.Aes128_Sha256_RsaOaep,
      SecurityPolicy.Aes256_Sha256_RsaPss],
    securityModes: [MessageSecurityMode.None, MessageSecurityMode.Sign, MessageSecurityMode.SignAndEncrypt],
    allowAnonymous: true, userManager: { isValidUser: (user, password) => user === "op" && password === "pw" },
    serverCapabilities: {
      maxMonitoredItems: 20000, maxMonitoredItemsPerSubscription: 20000,
      operationLimits: {
        maxNodesPerRead: Number(limit), maxMonitoredItemsPerCall: Number(limit), maxNodesPerBrowse: Number(limit) / 2,
      },
    },
  });
  await server.initialize();
  const space = server.engine.addressSpace;
  namespaces.forEach((uri) => space.registerNamespace(uri));
  const plant = space.registerNamespace("urn:peer:plant");
  const line = plant.addObject({ organizedBy: space.rootFolder.objects, browseName: "Line" });
  const variable = (name, dataType, value, extra = {}) => plant.addVariable({
    componentOf: line, browseName: name, nodeId: `s=Line.${name}`, dataType, value: { dataType, value, ...extra },
  });
  for (let number = 0; number < 1000; number++) variable(`Tag${number}`, DataType.Double, number);
  variable("Running", DataType.Boolean, true);
  variable("Serial", DataType.String, "0042");
  variable("State", DataType.Int32, 3);
  variable("Total", DataType.UInt64, [1, 2], { arrayType: VariantArrayType.Scalar }); // 2^32 + 2
  variable("Ratio", DataType.Float, 0.5);
  variable("Since", DataType.DateTime, new Date(Date.UTC(2026, 0, 2, 3, 4, 5, 678)));
  variable("Curve", DataType.Double, new Float64Array([1, 2, 3]), { arrayType: VariantArrayType.Array });
  const temperature = plant.addAnalogDataItem({
    componentOf: line, browseName: "Temperature", nodeId: "s=Line.Temperature", dataType: DataType.Double,
    engineeringUnitsRange: { low: 0, high: 100 }, engineeringUnits: standardUnits.degree_celsius,
  });
  space.installHistoricalDataNode(temperature, { maxOnlineValues: 5000 });
  const writable = (name, dataType, value, access) => plant.addVariable({
    componentOf: line, browseName: name, nodeId: `s=Line.${name}`, dataType, value: { dataType, value },
    accessLevel: "CurrentRead | CurrentWrite", userAccessLevel: access,
  });
  writable("Setpoint", DataType.Int16, 10, "CurrentRead | CurrentWrite");
  writable("Guarded", DataType.Double, 1, "CurrentRead");
  plant.addVariable({
    componentOf: line, browseName: "Fixed", nodeId: "s=Line.Fixed", dataType: DataType.Double,
    value: { dataType: DataType.Double, value: 1 }, accessLevel: "CurrentRead", userAccessLevel: "CurrentRead",
  });
  let counted = 0;
  setInterval(() => temperature.setValueFromSource({ dataType: DataType.Double, value: ++counted }), 50);
  const broken = plant.addVariable({
    componentOf: line, browseName: "Broken", nodeId: "s=Line.Broken", dataType: DataType.Double,
  });
  broken.setValueFromSource({ dataType: DataType.Double, value: 1.5 }, StatusCodes.BadSensorFailure);
  require("node:readline").createInterface({ input: process.stdin }).on("line", (command) => {
    const [verb, name] = command.split(" ");
    if (verb === "add") variable(name, DataType.Double, 7);
    if (verb === "remove") space.deleteNode(space.findNode(`ns=${plant.index};s=Line.${name}`));
  });
  await server.start();
  console.log(JSON.stringify({ port: server.endpoints[0].port }));
}

main(process.argv.slice(2)).catch((error) => { console.error(error); process.exit(1); });
