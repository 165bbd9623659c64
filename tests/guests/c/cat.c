// Copies standard input to standard output and says on standard error how much it was.
#include <stdio.h>
#include <unistd.h>

int main(void) {
    char chunk[4096];
    long total = 0;
    ssize_t n;
    while ((n = read(0, chunk, sizeof chunk)) > 0) {
        for (ssize_t done = 0; done < n;) {
            ssize_t written = write(1, chunk + done, (size_t)(n - done));
            if (written < 0) {
                perror("write");
                return 1;
            }
            done += written;
        }
        total += n;
    }
    if (n < 0) {
        perror("read");
        return 1;
    }
    fprintf(stderr, "%ld bytes\n", total);
    return 0;
}
