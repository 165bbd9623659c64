// Planets under Newton's law: f64 arithmetic, square roots, structures in memory.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { BODIES = 5, STEPS = 1800000 };

struct body {
    double x, y, z, vx, vy, vz, mass;
};

// A sun and four made-up planets; units: AU, years, solar masses times 4 pi^2.
static struct body bodies[BODIES] = {
    {0, 0, 0, 0, 0, 0, 39.478},
    {5.2, -0.3, 0.1, 0.2, 2.7, -0.05, 0.0377},
    {-9.1, 2.2, -0.2, -0.6, -1.9, 0.06, 0.0113},
    {12.4, -15.0, 0.3, 1.0, 0.9, -0.02, 0.0017},
    {-16.0, 25.5, -0.4, -0.9, -0.6, 0.03, 0.0020},
};

static void advance(double dt) {
    for (int i = 0; i < BODIES; i++) {
        struct body *a = &bodies[i];
        for (int j = i + 1; j < BODIES; j++) {
            struct body *b = &bodies[j];
            double dx = a->x - b->x, dy = a->y - b->y, dz = a->z - b->z;
            double square = dx * dx + dy * dy + dz * dz;
            double pull = dt / (square * sqrt(square));
            a->vx -= dx * b->mass * pull;
            a->vy -= dy * b->mass * pull;
            a->vz -= dz * b->mass * pull;
            b->vx += dx * a->mass * pull;
            b->vy += dy * a->mass * pull;
            b->vz += dz * a->mass * pull;
        }
    }
    for (int i = 0; i < BODIES; i++) {
        bodies[i].x += dt * bodies[i].vx;
        bodies[i].y += dt * bodies[i].vy;
        bodies[i].z += dt * bodies[i].vz;
    }
}

static double energy(void) {
    double sum = 0;
    for (int i = 0; i < BODIES; i++) {
        struct body *a = &bodies[i];
        sum += 0.5 * a->mass * (a->vx * a->vx + a->vy * a->vy + a->vz * a->vz);
        for (int j = i + 1; j < BODIES; j++) {
            struct body *b = &bodies[j];
            double dx = a->x - b->x, dy = a->y - b->y, dz = a->z - b->z;
            sum -= a->mass * b->mass / sqrt(dx * dx + dy * dy + dz * dz);
        }
    }
    return sum;
}

int main(int argc, char **argv) {
    int times = argc > 1 ? atoi(argv[1]) : 1;
    for (int i = 0; i < STEPS * times; i++)
        advance(0.001);
    printf("nbody %.9f\n", energy());
    return 0;
}
