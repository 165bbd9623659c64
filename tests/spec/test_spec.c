// The specification's test suite. $AEON_SPEC_TESTS is a checkout of it; without one the test is skipped.
//
// Every script of its core and of the proposals below is converted by wast2json into the build directory and run, by
// two processes.  The number of assertions is checked, so that a script lost on the way is a failure.

#include "spec.h"

#include "base/must.h"

#include <glob.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { SKIPPED = 77, WORKERS = 2 };

// What the suite's state of July 2023 holds, as wabt 1.0.32 converts it.
static const struct group {
    const char *name, *pattern, *flag;
    unsigned scripts, assertions, text;
} groups[] = {
    {"core", "*.wast", NULL, 147, 51012, 1079},
    {"tail-call", "proposals/tail-call/*.wast", "--enable-tail-call", 2, 102, 11},
    {"extended-const", "proposals/extended-const/*.wast", "--enable-extended-const", 3, 207, 3},
};
enum { NGROUPS = sizeof groups / sizeof *groups };

struct job {
    char *script;
    const struct group *group;
};

struct shared { /* between the workers */
    unsigned next;
    struct tally tallies[];
};

static char *out_dir;

static char *path_of(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static char *path_of(const char *fmt, ...) {
    va_list args;
    char *path;
    va_start(args, fmt);
    must(vasprintf(&path, fmt, args) >= 0);
    va_end(args);
    return path;
}

// Converts a script; the path of the JSON file, to be freed, or NULL.
static char *convert(const struct job *job) {
    const char *base = strrchr(job->script, '/') + 1;
    char *dir = path_of("%s/%s", out_dir, job->group->name);
    mkdir(dir, 0777);
    char *json_path = path_of("%s/%.*s.json", dir, (int)(strlen(base) - strlen(".wast")), base);
    free(dir);
    // it would also look for invalid modules itself, but knows fewer constant expressions than it can write
    const char *argv[] = {"wast2json", "--no-check", job->script, "-o", json_path, job->group->flag, NULL};
    pid_t pid;
    int status;
    if (posix_spawnp(&pid, "wast2json", NULL, NULL, (char **)argv, environ) == 0 && waitpid(pid, &status, 0) == pid &&
        status == 0)
        return json_path;
    free(json_path);
    return NULL;
}

static void work(const struct job *jobs, unsigned njobs, struct shared *shared) {
    for (;;) {
        unsigned i = __atomic_fetch_add(&shared->next, 1, __ATOMIC_RELAXED);
        if (i >= njobs)
            return;
        char *path = convert(&jobs[i]);
        if (path) {
            run_script(jobs[i].script, path, &shared->tallies[i]);
            free(path);
        } else {
            fprintf(stderr, "%s: wast2json failed\n", jobs[i].script);
            shared->tallies[i].failures++;
        }
    }
}

static struct job *list_jobs(const char *root, unsigned *njobs) {
    struct job *jobs = NULL;
    *njobs = 0;
    for (int g = 0; g < NGROUPS; g++) {
        char *pattern = path_of("%s/%s", root, groups[g].pattern);
        glob_t found;
        int failed = glob(pattern, 0, NULL, &found);
        free(pattern);
        if (failed)
            continue;
        jobs = realloc(jobs, (*njobs + found.gl_pathc) * sizeof *jobs);
        for (size_t i = 0; i < found.gl_pathc; i++)
            jobs[(*njobs)++] = (struct job){strdup(found.gl_pathv[i]), &groups[g]};
        globfree(&found);
    }
    return jobs;
}

static bool report(const struct job *jobs, unsigned njobs, const struct shared *shared) {
    unsigned failures = 0, assertions = 0;
    bool complete = true;
    for (int g = 0; g < NGROUPS; g++) {
        struct tally sum = {0};
        unsigned scripts = 0;
        for (unsigned i = 0; i < njobs; i++) {
            if (jobs[i].group != &groups[g])
                continue;
            scripts++;
            sum.assertions += shared->tallies[i].assertions;
            sum.text += shared->tallies[i].text;
            sum.modules += shared->tallies[i].modules;
            sum.failures += shared->tallies[i].failures;
        }
        printf("%s: %u scripts, %u modules, %u assertions run, %u of the text format skipped, %u failed\n",
               groups[g].name, scripts, sum.modules, sum.assertions, sum.text, sum.failures);
        if (scripts != groups[g].scripts || sum.assertions != groups[g].assertions || sum.text != groups[g].text) {
            printf("%s: expected %u scripts, %u assertions and %u skipped: scripts are missing or another version\n",
                   groups[g].name, groups[g].scripts, groups[g].assertions, groups[g].text);
            complete = false;
        }
        failures += sum.failures;
        assertions += sum.assertions;
    }
    printf("%u assertions, %u failures\n", assertions, failures);
    return complete && failures == 0;
}

int main(int argc, char **argv) {
    const char *root = getenv("AEON_SPEC_TESTS"), *build = getenv("AEON_BUILD_DIR");
    struct stat st;
    if (argc > 1 && strcmp(argv[1], "--stepped") == 0) {
        stepped = true;
        argc--, argv++;
    }
    if (argc > 1) { // one script, already converted: for looking into a failure
        struct tally t = {0};
        run_script(argv[1], argv[1], &t);
        printf("%u assertions, %u failures\n", t.assertions, t.failures);
        return t.failures != 0;
    }
    if (!root || stat(root, &st) != 0 || !S_ISDIR(st.st_mode)) {
        printf("SKIPPED: AEON_SPEC_TESTS is %s: the specification's tests were not run\n", root ? root : "not set");
        return SKIPPED;
    }
    const char *program = strrchr(argv[0], '/'); // each of the programs from these sources has its own directory
    out_dir = path_of("%s/%s%s", build ? build : ".", program ? program + 1 : argv[0], stepped ? "_stepped" : "");
    mkdir(out_dir, 0777);
    unsigned njobs;
    struct job *jobs = list_jobs(root, &njobs);
    size_t size = sizeof(struct shared) + njobs * sizeof(struct tally);
    struct shared *shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return 1;
    bool ok = true;
    pid_t pids[WORKERS];
    fflush(NULL);
    for (int w = 0; w < WORKERS; w++)
        if ((pids[w] = fork()) == 0) {
            work(jobs, njobs, shared);
            exit(0);
        }
    for (int w = 0; w < WORKERS; w++) {
        int status;
        if (waitpid(pids[w], &status, 0) != pids[w] || status != 0) {
            printf("a worker died (status 0x%x)\n", status);
            ok = false;
        }
    }
    ok = report(jobs, njobs, shared) && ok;
    for (unsigned i = 0; i < njobs; i++)
        free(jobs[i].script);
    free(jobs);
    free(out_dir);
    return ok ? 0 : 1;
}
