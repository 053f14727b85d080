/**
 * ONNX Runtime 1.30 for Linux carries Microsoft's telemetry: unless told otherwise before it is loaded, it keeps a device
 * id and a database of events below `~/.cache` and sends them to a host of its maker. A camera sends nothing that its owner
 * did not ask for. Import this file before `onnxruntime-node`, wherever that is imported.
 */
process.env.ORT_DISABLE_TELEMETRY = '1';
