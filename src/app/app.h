/* app.h: an application of several guests, from its manifest.
 *
 *     name: shop
 *     guests:
 *       web:
 *         module: web.wasm               # relative to the manifest's directory, as are all paths
 *         args: [--verbose]
 *         env: {LEVEL: debug}
 *         dirs: [./data:/data:ro]        # as --dir
 *         overlays: [./base:/]           # as --overlay
 *         publish: [127.0.0.1:8080:80, 127.0.0.1:5353:53/udp]  # MACHINE-ADDRESS:PORT:GUEST-PORT[/udp]
 *         listen: [127.0.0.1:8081]       # pre-opened listeners, as --listen
 *         policy: net.yaml               # or the policy itself, as a map
 *         limits: {memory: 256MiB, stack: 8MiB, fuel: 500G, fuel-per-second: 500M, time: 30s, handles: 64,
 *                  journal-max: 1GiB, bandwidth: 10MiB/s}
 *         chaos: seed=7,error=0.01
 *         count: 1                       # that many, called web, web-2, ...
 *       db: ...
 */
#ifndef AEON_APP_APP_H
#define AEON_APP_APP_H

#include "base/buf.h"
#include "config/config.h"
#include "policy/policy.h"

struct app_publish {
    struct addr on; /* of the machine; port 0: any that is free */
    uint16_t port;  /* of the guest */
    bool udp;
};

struct app_limits { /* 0: not given */
    uint64_t memory_bytes, stack_bytes, fuel_ticks, fuel_per_second, time_ns, handles, journal_bytes, bandwidth;
};

struct app_guest {
    const char *name, *module;
    struct config_texts args, env /* K=V */, dirs, overlays, listen;
    struct app_publish *publish;
    uint32_t npublish;
    struct policy *policy; /* never NULL */
    struct app_limits limits;
    const char *chaos; /* as it is written; NULL: none */
    uint64_t count;
    uint32_t line;
};

struct app {
    const char *name;
    const char *dir; /* the manifest's, without a final slash; paths within are made relative to the working directory
                        already */
    struct app_guest *guests;
    uint32_t nguests;
    struct config config;
};

/* `read` brings the bytes of a file a guest's policy names (as seen from the working directory). Nothing is opened, and
 * everything is checked but what `chaos` says. Errors name file, line and column. */
NODISCARD enum status app_parse(struct span text, const char *path,
                                enum status (*read)(void *ctx, const char *path, struct buf *out, struct err *e),
                                void *ctx, struct app **out, struct err *e);
void app_free(struct app *a);

/* "256MiB/s" or "10MiB": bytes a second. */
NODISCARD enum status app_read_bandwidth(const char *text, uint64_t *out, struct err *e);
NODISCARD enum status app_read_publish(const char *text, struct app_publish *out, struct err *e);

#endif
