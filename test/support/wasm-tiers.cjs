// For processes that tests start: most live for a second or two, in which V8 would spend as much time on optimising the
// embedded database as on running it. So it optimises only what runs a hundred times as long as it does by default.
require('node:v8').setFlagsFromString('--wasm-tiering-budget=200000000');
