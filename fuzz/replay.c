// Runs a fuzz target once over each file of the directories or files given: what a build without libFuzzer links in
// its place, so that every seed and every past finding is a test on every compiler.

#include <dirent.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t replay_file(const char *path) {
    FILE *file = fopen(path, "rb");
    struct stat st;
    if (!file || fstat(fileno(file), &st) != 0) {
        perror(path);
        exit(1);
    }
    size_t size = (size_t)st.st_size;
    uint8_t *data = malloc(size); // exactly sized, so that a sanitizer sees a read past the end
    if (size && (!data || fread(data, 1, size, file) != size)) {
        perror(path);
        exit(1);
    }
    fclose(file);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    return 1;
}

static size_t replay_path(const char *path) {
    struct stat st;
    if (stat(path, &st) != 0) {
        perror(path);
        exit(1);
    }
    if (!S_ISDIR(st.st_mode))
        return replay_file(path);
    struct dirent **entries;
    int n = scandir(path, &entries, NULL, alphasort);
    if (n < 0) {
        perror(path);
        exit(1);
    }
    size_t count = 0;
    for (int i = 0; i < n; i++) {
        if (entries[i]->d_name[0] != '.') {
            char *child;
            if (asprintf(&child, "%s/%s", path, entries[i]->d_name) < 0)
                abort();
            count += replay_path(child);
            free(child);
        }
        free(entries[i]);
    }
    free(entries);
    return count;
}

int main(int argc, char **argv) {
    size_t count = 0;
    for (int i = 1; i < argc; i++)
        count += replay_path(argv[i]);
    printf("%zu inputs\n", count);
    if (!count) {
        fprintf(stderr, "no seed found: a fuzz target comes with seeds in fuzz/corpus/<name>\n");
        return 1;
    }
    return 0;
}
