/* A PKCS#11 module that passes every call on to a real one, except where a file orders a fault.
 *
 * SHIM_MODULE: the real module. SHIM_LOG: the name of every call, one a line; never an argument, so never a PIN.
 * SHIM_ORDERS: a file, read before each call, of lines "C_Function when what [number]".
 *   when    always; once (the line is removed when it is obeyed); a count n (the first n calls pass, then always)
 *   what    before n  return n (hexadecimal) and call nothing       after n   call, then return n
 *           flip n    call, then turn attribute n (a boolean) round  wrong     call, then change a byte of the answer
 *           length n  call, then say that the answer has n (hexadecimal) bytes
 *           without n call C_CreateObject without the attribute of type n (hexadecimal)
 *           hang      wait until the order is gone                  stuck     wait for ever
 *           abort, segv, exit     end the process                   print     write nonsense to stdout
 *           flood     write a mebibyte to stderr                    thread    leave a thread behind that never ends
 *           fork      leave a child behind that holds all files     close     close all files but the first three
 *           elsewhere change folder, umask and signal handlers      eat       take four gibibytes, or abort
 * What is done to an answer waits for the call that has room for one: a question for its length is passed on.
 *
 * The function list of PKCS#11 v2.40 is a version and 68 pointers in a fixed order; wrappers take eight words, the most
 * that any function has, and hand them on: on the ABIs that the tests run on, words too many do no harm.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define FUNCTIONS 68
typedef unsigned long word;
typedef word (*function)(word, word, word, word, word, word, word, word);
struct list {
    unsigned char version[2];
    function at[FUNCTIONS];
};
struct attribute {
    word type;
    unsigned char *value;
    word length;
};
struct order {
    char what[16];
    word number;
};

static struct list shim, *real;

static void note(const char *name) {
    char line[64];
    int length = snprintf(line, sizeof line, "%s\n", name);
    int log = open(getenv("SHIM_LOG"), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (log < 0 || write(log, line, length) != length) abort();
    close(log);
}

/* Whether there is an order for this call. Obeying may change the file; whoever reads or writes it locks it. */
static int ordered(const char *name, int has_room, struct order *found) {
    char text[4096], rest[4096] = "", *line, *next;
    int orders = open(getenv("SHIM_ORDERS"), O_RDWR | O_CLOEXEC), is_found = 0, is_changed = 0;
    if (orders < 0) return 0;
    if (flock(orders, LOCK_EX) != 0) abort();
    ssize_t length = read(orders, text, sizeof text - 1);
    text[length < 0 ? 0 : length] = 0;
    for (line = strtok_r(text, "\n", &next); line != NULL; line = strtok_r(NULL, "\n", &next)) {
        char of[32], when[16], left[96];
        struct order order = {"", 0};
        if (sscanf(line, "%31s %15s %15s %lx", of, when, order.what, &order.number) < 3) abort();
        int is_of_answer = strstr("after wrong length", order.what) != NULL;
        if (!is_found && strcmp(of, name) == 0 && (has_room || !is_of_answer)) {
            unsigned passes = atoi(when);
            if (passes > 0) {
                snprintf(left, sizeof left, "%s %u %s %lx", of, passes - 1, order.what, order.number);
                line = left, is_changed = 1;
            } else {
                is_found = 1, *found = order;
                if (strcmp(when, "once") == 0) {
                    is_changed = 1;
                    continue;
                }
            }
        }
        strcat(strcat(rest, line), "\n");
    }
    if (is_changed && (ftruncate(orders, 0) != 0 || pwrite(orders, rest, strlen(rest), 0) < 0)) abort();
    close(orders);
    return is_found;
}

static void *never_ends(void *nothing) {
    for (;;) pause();
    return nothing;
}

/* What the process itself suffers. */
static void suffer(const char *name, const char *what) {
    struct order still;
    if (strcmp(what, "hang") == 0)
        while (ordered(name, 1, &still)) usleep(5000);
    if (strcmp(what, "stuck") == 0) never_ends(NULL);
    if (strcmp(what, "abort") == 0) abort();
    if (strcmp(what, "segv") == 0) *(volatile int *)8 = 0;
    if (strcmp(what, "exit") == 0) exit(0);
    if (strcmp(what, "print") == 0) puts("an answer? \x01\x01\x01\x01\x01"), fflush(stdout);
    if (strcmp(what, "flood") == 0)
        for (int line = 0; line < 16384; line++) fprintf(stderr, "%-63s\n", "the module has much to say");
    if (strcmp(what, "thread") == 0) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, never_ends, NULL) != 0) abort();
    }
    if (strcmp(what, "fork") == 0 && fork() == 0) never_ends(NULL);
    if (strcmp(what, "close") == 0)
        for (int file = 3; file < 256; file++) close(file);
    if (strcmp(what, "eat") == 0)
        for (int piece = 0; piece < 64; piece++)
            if (malloc(64 << 20) == NULL) abort();
    if (strcmp(what, "elsewhere") == 0) {
        if (chdir("/") != 0) abort();
        umask(0);
        for (int number = 1; number < 32; number++) signal(number, SIG_IGN);
    }
}

/* Bytes before the serial number in CK_TOKEN_INFO. */
#define SERIAL 80

/* What is done to an answer: the bytes of C_Sign and C_Decrypt, the attributes of C_GetAttributeValue, the serial number
 * of C_GetTokenInfo. */
static void spoil(int index, const struct order *order, word b, word c, word d, word e) {
    int is_flip = strcmp(order->what, "flip") == 0, is_length = strcmp(order->what, "length") == 0;
    struct attribute *attributes = (struct attribute *)c;
    if (index == 6) {
        if (strcmp(order->what, "wrong") == 0) ((unsigned char *)b)[SERIAL] ^= 1;
    } else if (index == 24) {
        for (word i = 0; i < d; i++) {
            if (is_length) attributes[i].length = order->number;
            else if (attributes[i].value == NULL) continue;
            else if (!is_flip) attributes[i].value[0] ^= 1;
            else if (attributes[i].type == order->number) attributes[i].value[0] ^= 1;
        }
    } else if (is_length) {
        *(word *)e = order->number;
    } else if (strcmp(order->what, "wrong") == 0) {
        *(unsigned char *)d ^= 1;
    }
}

/* C_CreateObject with all attributes but those of one type. */
static word create(const word w[8], word without) {
    const struct attribute *all = (const struct attribute *)w[1];
    struct attribute kept[32];
    word count = 0;
    if (w[2] > sizeof kept / sizeof *kept) abort();
    for (word i = 0; i < w[2]; i++)
        if (all[i].type != without) kept[count++] = all[i];
    return real->at[20](w[0], (word)kept, count, w[3], w[4], w[5], w[6], w[7]);
}

static word call(int index, const char *name, const word w[8]) {
    struct order order;
    int has_bytes = index == 43 || index == 34;
    note(name);
    if (!ordered(name, !has_bytes || w[3] != 0, &order))
        return real->at[index](w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7]);
    if (strcmp(order.what, "before") == 0) return order.number;
    if (index == 20 && strcmp(order.what, "without") == 0) return create(w, order.number);
    suffer(name, order.what);
    word value = real->at[index](w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7]);
    if (value == 0 && (has_bytes || index == 24 || index == 6)) spoil(index, &order, w[1], w[2], w[3], w[4]);
    return strcmp(order.what, "after") == 0 ? order.number : value;
}

#define ALL(DO)                                                                                        \
    DO(0, C_Initialize) DO(1, C_Finalize) DO(2, C_GetInfo) DO(4, C_GetSlotList) DO(5, C_GetSlotInfo)   \
    DO(6, C_GetTokenInfo) DO(7, C_GetMechanismList) DO(8, C_GetMechanismInfo) DO(9, C_InitToken)       \
    DO(10, C_InitPIN) DO(11, C_SetPIN) DO(12, C_OpenSession) DO(13, C_CloseSession)                    \
    DO(14, C_CloseAllSessions) DO(15, C_GetSessionInfo) DO(16, C_GetOperationState)                    \
    DO(17, C_SetOperationState) DO(18, C_Login) DO(19, C_Logout) DO(20, C_CreateObject)                \
    DO(21, C_CopyObject) DO(22, C_DestroyObject) DO(23, C_GetObjectSize) DO(24, C_GetAttributeValue)   \
    DO(25, C_SetAttributeValue) DO(26, C_FindObjectsInit) DO(27, C_FindObjects)                        \
    DO(28, C_FindObjectsFinal) DO(29, C_EncryptInit) DO(30, C_Encrypt) DO(33, C_DecryptInit)           \
    DO(34, C_Decrypt) DO(37, C_DigestInit) DO(38, C_Digest) DO(42, C_SignInit) DO(43, C_Sign)          \
    DO(44, C_SignUpdate) DO(45, C_SignFinal) DO(48, C_VerifyInit) DO(49, C_Verify)                     \
    DO(58, C_GenerateKey) DO(59, C_GenerateKeyPair) DO(60, C_WrapKey) DO(61, C_UnwrapKey)              \
    DO(62, C_DeriveKey) DO(63, C_SeedRandom) DO(64, C_GenerateRandom) DO(67, C_WaitForSlotEvent)
#define WRAP(index, name)                                                                              \
    static word name(word a, word b, word c, word d, word e, word f, word g, word h) {                 \
        return call(index, #name, (word[]){a, b, c, d, e, f, g, h});                                   \
    }
#define PLACE(index, name) shim.at[index] = name;

ALL(WRAP)

word C_GetFunctionList(struct list **to) {
    if (real == NULL) {
        void *module = dlopen(getenv("SHIM_MODULE"), RTLD_NOW);
        word (*get)(struct list **) = module ? (word (*)(struct list **))dlsym(module, "C_GetFunctionList") : NULL;
        if (get == NULL || get(&real) != 0) return 5;
        shim = *real;
        ALL(PLACE)
    }
    *to = &shim;
    return 0;
}
