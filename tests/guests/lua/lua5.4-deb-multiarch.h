// Debian's build of Lua makes this header; it names the directory in which binary modules are looked for.
#define DEB_HOST_MULTIARCH "wasm32-wasi"
