// The small things embedded programs do: linked lists, an integer matrix, a state machine over text, a CRC over each
// result.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { NODES = 400, SIDE = 24, TEXT = 2048, ROUNDS = 2500 };

struct node {
    struct node *next;
    int16_t key, value;
};

static struct node nodes[NODES];
static int16_t left[SIDE][SIDE], right[SIDE][SIDE];
static int32_t product[SIDE][SIDE];
static char text[TEXT];

static uint32_t seed = 12345;

static uint32_t next_random(void) {
    seed = seed * 1103515245u + 12345u;
    return seed >> 16;
}

static uint16_t crc16(uint16_t crc, uint32_t word) {
    for (int i = 0; i < 32; i++) {
        uint32_t bit = (word ^ crc) & 1;
        word >>= 1;
        crc >>= 1;
        if (bit)
            crc ^= 0xa001;
    }
    return crc;
}

static struct node *list_make(void) {
    for (int i = 0; i < NODES; i++) {
        nodes[i].key = (int16_t)(next_random() & 0x7fff);
        nodes[i].value = (int16_t)i;
        nodes[i].next = i + 1 < NODES ? &nodes[i + 1] : NULL;
    }
    return nodes;
}

static struct node *list_merge(struct node *a, struct node *b) {
    struct node head = {0}, *tail = &head;
    while (a && b) {
        struct node **least = a->key <= b->key ? &a : &b;
        tail->next = *least;
        tail = *least;
        *least = tail->next;
    }
    tail->next = a ? a : b;
    return head.next;
}

static struct node *list_sort(struct node *list) {
    if (!list || !list->next)
        return list;
    struct node *slow = list;
    for (struct node *fast = list->next; fast && fast->next; fast = fast->next->next)
        slow = slow->next;
    struct node *half = slow->next;
    slow->next = NULL;
    return list_merge(list_sort(list), list_sort(half));
}

static struct node *list_reverse(struct node *list) {
    struct node *done = NULL;
    while (list) {
        struct node *rest = list->next;
        list->next = done;
        done = list;
        list = rest;
    }
    return done;
}

static uint16_t run_list(uint16_t crc) {
    struct node *list = list_reverse(list_sort(list_make()));
    int found = 0;
    for (int i = 0; i < 16; i++) {
        int16_t want = (int16_t)(next_random() % NODES);
        for (struct node *n = list; n; n = n->next)
            if (n->value == want) {
                found += n->key;
                break;
            }
    }
    return crc16(crc16(crc, (uint32_t)found), (uint32_t)list->key);
}

static uint16_t run_matrix(uint16_t crc) {
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            left[i][j] = (int16_t)(next_random() & 0xff);
            right[i][j] = (int16_t)(next_random() & 0xff);
        }
    int32_t sum = 0;
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            int32_t cell = 0;
            for (int k = 0; k < SIDE; k++)
                cell += left[i][k] * right[k][j];
            product[i][j] = cell;
            sum += (cell >> 4) & 0x7f;
        }
    return crc16(crc, (uint32_t)sum);
}

enum state { START, SIGN, DIGITS, FRACTION, EXPONENT, WORD, BAD, N_STATES };

static enum state step(enum state state, char c) {
    int digit = c >= '0' && c <= '9';
    switch (state) {
    case START:
        if (digit)
            return DIGITS;
        if (c == '+' || c == '-')
            return SIGN;
        return c >= 'a' && c <= 'z' ? WORD : BAD;
    case SIGN: return digit ? DIGITS : BAD;
    case DIGITS:
        if (c == '.')
            return FRACTION;
        return digit ? DIGITS : c == 'e' ? EXPONENT : BAD;
    case FRACTION: return digit ? FRACTION : c == 'e' ? EXPONENT : BAD;
    case EXPONENT: return digit ? EXPONENT : BAD;
    case WORD: return c >= 'a' && c <= 'z' ? WORD : BAD;
    default: return BAD;
    }
}

static uint16_t run_states(uint16_t crc) {
    static const char alphabet[] = "0123456789012345+-..eexyz,,,,";
    for (int i = 0; i < TEXT; i++)
        text[i] = alphabet[next_random() % (sizeof(alphabet) - 1)];
    uint32_t ended[N_STATES] = {0};
    enum state state = START;
    for (int i = 0; i < TEXT; i++)
        if (text[i] == ',') {
            ended[state]++;
            state = START;
        } else {
            state = step(state, text[i]);
        }
    for (int i = 0; i < N_STATES; i++)
        crc = crc16(crc, ended[i]);
    return crc;
}

int main(int argc, char **argv) {
    int times = argc > 1 ? atoi(argv[1]) : 1;
    uint16_t crc = 0xffff;
    for (int i = 0; i < ROUNDS * times; i++) {
        crc = run_list(crc);
        crc = run_matrix(crc);
        crc = run_states(crc);
    }
    printf("core %04x\n", (unsigned)crc);
    return 0;
}
