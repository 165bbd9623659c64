/* resolve.c: from a path to a directory and a name in it.
 *
 * Every step is from the node of a directory to that of one in it, which its tree opens without following links; what a
 * link says is put in front of what is left of the path. `..` goes back to the node that the walk came from, never to
 * what the disk says is the parent by now, and not above the start. So a rename meanwhile can make the walk miss
 * something, but not lead it out. */
#include "world/files/internal.h"

struct walk {
    struct node *start, *at; /* `at` is held */
    const char *rest;
    char *text; /* what `rest` lies in once a link was followed; owned */
    int links;
};

/* Puts what the link `name` says in front of `rest`. `r`: why it was looked at, the answer when it is no link. */
static int follow(struct walk *k, const char *name, const char *rest, int r) {
    char target[FILES_PATH_MAX];
    int64_t n = k->at->tree->ops->read_link(k->at, name, target, sizeof target);
    if (n < 0)
        return n == -EINVAL ? r : (int)n;
    if (n == sizeof target)
        return -ENAMETOOLONG;
    if (++k->links > FILES_LINKS_MAX)
        return -ELOOP;
    if (n == 0)
        return -ENOENT;
    if (target[0] == '/')
        return -EPERM;
    size_t left = strlen(rest) + 1;
    if ((size_t)n + left > 2 * FILES_PATH_MAX)
        return -ENAMETOOLONG;
    char *text = mem_alloc((size_t)n + left);
    memcpy(text, target, (size_t)n);
    memcpy(text + n, rest, left); /* starts with '/' or is empty */
    mem_free(k->text);
    k->rest = k->text = text;
    return 0;
}

static int go_up(struct walk *k) {
    if (k->at == k->start)
        return -EPERM;
    struct node *up = node_hold(k->at->parent);
    node_drop(k->at);
    k->at = up;
    return 0;
}

static int go_down(struct walk *k, const char *name, const char *rest) {
    struct node *child;
    int r = k->at->tree->ops->enter(k->at, name, &child);
    if (r == -ENOTDIR || r == -ELOOP)
        return follow(k, name, rest, -ENOTDIR);
    if (r < 0)
        return r;
    node_drop(k->at);
    k->at = child;
    k->rest = rest;
    return 0;
}

/* One component; 1 when it was the last. */
static int step(struct walk *k, uint32_t how, struct place *out) {
    const char *at = k->rest + strspn(k->rest, "/");
    size_t n = strcspn(at, "/");
    if (n > FILES_NAME_MAX)
        return -ENAMETOOLONG;
    char name[FILES_NAME_MAX + 1];
    memcpy(name, at, n);
    name[n] = '\0';
    const char *rest = at + n;
    const bool last = rest[strspn(rest, "/")] == '\0';
    if (n == 0 || !strcmp(name, ".") || !strcmp(name, "..")) {
        int r = n == 2 ? go_up(k) : 0;
        k->rest = rest;
        out->dots = n == 2 ? 2 : 1;
        return r ? r : last;
    }
    if (!last)
        return go_down(k, name, rest);
    /* Who would create `name/` is told that it is a directory, even if it is a link. */
    const bool may_follow = how & RESOLVE_FOLLOW && !(how & RESOLVE_CREATE && rest[0] == '/');
    int r = may_follow ? follow(k, name, rest, 1) : 1;
    if (r <= 0 && r != -ENOENT)
        return r;
    out->dots = 0;
    out->slash = rest[0] == '/';
    memcpy(out->name, name, n + 1);
    return 1;
}

int resolve(struct node *start, const char *path, uint32_t how, struct place *out) {
    if (path[0] == '\0')
        return -ENOENT;
    if (path[0] == '/')
        return -EPERM;
    if (strlen(path) >= FILES_PATH_MAX)
        return -ENAMETOOLONG;
    struct walk k = {.start = start, .at = node_hold(start), .rest = path};
    *out = (struct place){0};
    int r;
    do
        r = step(&k, how, out);
    while (r == 0);
    mem_free(k.text);
    if (r < 0) {
        node_drop(k.at);
        return r;
    }
    out->dir = k.at;
    return 0;
}

void place_drop(struct place *p) {
    node_drop(p->dir);
    p->dir = NULL;
}
