// A node-opcua server whose ITEMS counters go up once a second, all in the same moment: `node opcua_load.js ITEMS PKI`.
// Prints one line of JSON when it listens.
"use strict";
const { DataType, MessageSecurityMode, OPCUACertificateManager, OPCUAServer, SecurityPolicy } = require("node-opcua");

async function main([items, pki]) {
  const certificates = new OPCUACertificateManager({ rootFolder: pki });
  await certificates.initialize();
  const server = new OPCUAServer({
    host: "127.0.0.1", hostname: "127.0.0.1", port: 0, serverCertificateManager: certificates,
    securityPolicies: [SecurityPolicy.None], securityModes: [MessageSecurityMode.None],
    serverCapabilities: {
      maxMonitoredItems: 100000, maxMonitoredItemsPerSubscription: 100000,
      operationLimits: { maxNodesPerRead: 1000, maxMonitoredItemsPerCall: 1000 },
    },
  });
  await server.initialize();
  const space = server.engine.addressSpace;
  const plant = space.registerNamespace("urn:load");
  const counters = Array.from({ length: Number(items) }, (_, number) => plant.addVariable({
    organizedBy: space.rootFolder.objects, browseName: `C${number}`, nodeId: `s=C${number}`, dataType: DataType.Double,
    value: { dataType: DataType.Double, value: 0 },
  }));
  let count = 0;
  setInterval(() => {
    count += 1;
    for (const counter of counters) counter.setValueFromSource({ dataType: DataType.Double, value: count });
  }, 1000);
  await server.start();
  console.log(JSON.stringify({ port: server.endpoints[0].port }));
}

main(process.argv.slice(2)).catch((error) => { console.error(error); process.exit(1); });
