/* A PKCS#11 module that passes every call on to a real one, except where a file orders a failure.
 *
 * SHIM_MODULE: the real module. SHIM_ORDERS: a file of lines "C_Function code mode"; mode "once" (the line is removed),
 * "always", "after" (the real call is made, then the code is returned), or "flip" (the real call is made, and the
 * boolean attribute of that number is turned round). SHIM_LOG: every call, one line each.
 *
 * The function list of PKCS#11 v2.40 is a version and 68 pointers in a fixed order; wrappers take eight words, the most
 * that any function has, and hand them on: on the ABIs that the tests run on, words too many do no harm.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FUNCTIONS 68
typedef unsigned long word;
typedef word (*function)(word, word, word, word, word, word, word, word);
struct list {
    unsigned char version[2];
    function at[FUNCTIONS];
};

static struct list shim, *real;

static void note(const char *name) {
    FILE *log = fopen(getenv("SHIM_LOG"), "a");
    if (log == NULL) abort();
    fprintf(log, "%s\n", name);
    fclose(log);
}

enum mode { BEFORE, AFTER, FLIP };

/* The code ordered for this function, 0: none. */
static word ordered(const char *name, enum mode *how) {
    char text[4096], rest[4096] = "", *line, *next;
    word found = 0;
    FILE *file = fopen(getenv("SHIM_ORDERS"), "r");
    if (file == NULL) return 0;
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    fclose(file);
    for (line = strtok_r(text, "\n", &next); line != NULL; line = strtok_r(NULL, "\n", &next)) {
        char function_name[64], mode[16];
        word code;
        if (sscanf(line, "%63s %lx %15s", function_name, &code, mode) != 3) abort();
        if (found == 0 && strcmp(function_name, name) == 0) {
            found = code;
            *how = strcmp(mode, "after") == 0 ? AFTER : strcmp(mode, "flip") == 0 ? FLIP : BEFORE;
            if (strcmp(mode, "once") == 0) continue;
        }
        strcat(strcat(rest, line), "\n");
    }
    file = fopen(getenv("SHIM_ORDERS"), "w");
    if (file == NULL) abort();
    fputs(rest, file);
    fclose(file);
    return found;
}

struct attribute {
    word type;
    unsigned char *value;
    word length;
};

static void flip(struct attribute *attributes, word count, word type) {
    for (word i = 0; i < count; i++)
        if (attributes[i].type == type && attributes[i].value != NULL && attributes[i].length == 1)
            *attributes[i].value ^= 1;
}

#define WRAP(index, name)                                                                             \
    static word name(word a, word b, word c, word d, word e, word f, word g, word h) {                \
        enum mode how = BEFORE;                                                                       \
        word code;                                                                                    \
        note(#name);                                                                                  \
        code = ordered(#name, &how);                                                                  \
        if (code != 0 && how == BEFORE) return code;                                                  \
        word value = real->at[index](a, b, c, d, e, f, g, h);                                         \
        if (how == FLIP) flip((struct attribute *)c, d, code);                                        \
        return how == AFTER ? code : value;                                                           \
    }
#define WRAPPED(DO)                                                                                   \
    DO(6, C_GetTokenInfo) DO(12, C_OpenSession) DO(18, C_Login) DO(24, C_GetAttributeValue)           \
    DO(26, C_FindObjectsInit) DO(42, C_SignInit) DO(43, C_Sign) DO(59, C_GenerateKeyPair)             \
    DO(62, C_DeriveKey)
#define PLACE(index, name) shim.at[index] = name;

WRAPPED(WRAP)

word C_GetFunctionList(struct list **to) {
    if (real == NULL) {
        void *module = dlopen(getenv("SHIM_MODULE"), RTLD_NOW);
        word (*get)(struct list **) = module ? (word (*)(struct list **))dlsym(module, "C_GetFunctionList") : NULL;
        if (get == NULL || get(&real) != 0) return 5;
        shim = *real;
        WRAPPED(PLACE)
    }
    *to = &shim;
    return 0;
}
