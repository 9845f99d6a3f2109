/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A plugin for the emulator's TCG: counts the instructions that the emulated
 * machine executes, all of its CPUs and levels together, between two markers.
 *
 *   -plugin meter.so,out=FILE[,profile=on][,monitor=SOCKET]
 *
 * A marker is a no-operation that programs do not have by chance: BRANCH ON
 * CONDITION with mask 0 and a displacement that tells the beginning from the
 * end. For each pair, FILE gets a line "op NUMBER INSTRUCTIONS", the number
 * counting from 0. With profile=on, lines "at ADDRESS INSTRUCTIONS" before it
 * tell how often the instruction at which virtual address was executed.
 *
 * Markers themselves are not counted. An instruction that is executed again,
 * because a page was missing, counts again.
 *
 * A third marker makes a change to the emulated hardware: at the address in R2
 * is a QMP command, COMMAND_SIZE bytes with a zero at its end, which goes to the
 * monitor at SOCKET. The CPU stands still until that has answered, and so does
 * the clock: for the machine, the change is made between two instructions.
 *
 * For -icount, where one thread runs all CPUs in turns: what is counted has no
 * lock.
 */
#include <glib.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <qemu-plugin.h>

#define MARKER_SIZE     4
#define COMMAND_SIZE    256

static const uint8_t begin_marker[MARKER_SIZE] = { 0x47, 0x00, 0x0b, 0xb1 };
static const uint8_t end_marker[MARKER_SIZE] = { 0x47, 0x00, 0x0b, 0xb2 };
static const uint8_t change_marker[MARKER_SIZE] = { 0x47, 0x00, 0x0b, 0xb3 };

QEMU_PLUGIN_EXPORT int qemu_plugin_version = QEMU_PLUGIN_VERSION;

struct counters {
    uint64_t instructions;
    uint64_t profiling;     /* not 0 between the markers */
};

struct place {
    uint64_t address;
    uint64_t instructions;
};

static FILE *file;
static qemu_plugin_u64 instructions, profiling;
static uint64_t number, at_begin;
static bool measuring;
/* All places seen, by their addresses; NULL when there is to be no profile. */
static GHashTable *places;

static void set_profiling(uint64_t on)
{
    for (int cpu = 0; places && cpu < qemu_plugin_num_vcpus(); cpu++) {
        qemu_plugin_u64_set(profiling, cpu, on);
    }
}

static void begin(unsigned int cpu, void *data)
{
    if (measuring) {
        fprintf(file, "error a beginning within operation %" PRIu64 "\n",
                number);
    }
    measuring = true;
    at_begin = qemu_plugin_u64_sum(instructions);
    set_profiling(1);
}

static void end(unsigned int cpu, void *data)
{
    GHashTableIter iterator;
    struct place *place;
    void *value;

    if (!measuring) {
        fprintf(file, "error an end without a beginning\n");
        return;
    }
    measuring = false;
    set_profiling(0);
    if (places) {
        g_hash_table_iter_init(&iterator, places);
        while (g_hash_table_iter_next(&iterator, NULL, &value)) {
            place = value;
            if (place->instructions) {
                fprintf(file, "at 0x%" PRIx64 " %" PRIu64 "\n", place->address,
                        place->instructions);
                place->instructions = 0;
            }
        }
    }
    fprintf(file, "op %" PRIu64 " %" PRIu64 "\n", number++,
            qemu_plugin_u64_sum(instructions) - at_begin);
    fflush(file);
}

/* The monitor; NULL when there is none. */
static char *monitor_path;
static FILE *from_monitor, *to_monitor;
static struct qemu_plugin_register *r2;

/* Whether the monitor did what it was asked to do; if not, the file says why. */
static bool ask(const char *command)
{
    char line[4096];

    fprintf(to_monitor, "%s\n", command);
    fflush(to_monitor);
    while (fgets(line, sizeof(line), from_monitor)) {
        /* Its greeting and events begin otherwise. */
        if (g_str_has_prefix(line, "{\"return\"")) {
            return true;
        }
        if (g_str_has_prefix(line, "{\"error\"")) {
            fprintf(file, "error %s: %s", command, line);
            return false;
        }
    }
    fprintf(file, "error %s: the monitor does not answer\n", command);
    return false;
}

static bool connect_monitor(void)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (!monitor_path) {
        fprintf(file, "error no monitor=SOCKET to change the hardware by\n");
        return false;
    }
    g_strlcpy(address.sun_path, monitor_path, sizeof(address.sun_path));
    if (fd < 0 ||
        connect(fd, (struct sockaddr *)&address, sizeof(address))) {
        fprintf(file, "error no connection to %s\n", monitor_path);
        return false;
    }
    from_monitor = fdopen(fd, "r");
    to_monitor = fdopen(dup(fd), "w");
    return from_monitor && to_monitor &&
           ask("{\"execute\":\"qmp_capabilities\"}");
}

static void change(unsigned int cpu, void *data)
{
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    uint64_t address;

    if (!r2 || qemu_plugin_read_register(r2, bytes) != sizeof(address)) {
        fprintf(file, "error R2 cannot be read\n");
        return;
    }
    memcpy(&address, bytes->data, sizeof(address));
    address = GUINT64_FROM_BE(address);
    g_byte_array_set_size(bytes, 0);
    if (!qemu_plugin_read_memory_vaddr(address, bytes, COMMAND_SIZE) ||
        bytes->data[COMMAND_SIZE - 1]) {
        fprintf(file, "error no command at 0x%" PRIx64 "\n", address);
        return;
    }
    if (to_monitor || connect_monitor()) {
        ask((const char *)bytes->data);
    }
    fflush(file);
}

static void find_r2(qemu_plugin_id_t id, unsigned int cpu)
{
    g_autoptr(GArray) registers = qemu_plugin_get_registers();

    for (guint i = 0; i < registers->len; i++) {
        qemu_plugin_reg_descriptor *of = &g_array_index(
            registers, qemu_plugin_reg_descriptor, i);

        if (!strcmp(of->name, "r2")) {
            r2 = of->handle;
        }
    }
}

static void executed(unsigned int cpu, void *data)
{
    struct place *place = data;

    place->instructions++;
}

static struct place *place_of(uint64_t address)
{
    struct place *place = g_hash_table_lookup(places, &address);

    if (!place) {
        place = g_new0(struct place, 1);
        place->address = address;
        g_hash_table_insert(places, &place->address, place);
    }
    return place;
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *block)
{
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(block); i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(block, i);
        uint8_t code[MARKER_SIZE] = { 0 };

        qemu_plugin_insn_data(insn, code, sizeof(code));
        if (!memcmp(code, begin_marker, MARKER_SIZE)) {
            qemu_plugin_register_vcpu_insn_exec_cb(
                insn, begin, QEMU_PLUGIN_CB_NO_REGS, NULL);
            continue;
        }
        if (!memcmp(code, end_marker, MARKER_SIZE)) {
            qemu_plugin_register_vcpu_insn_exec_cb(
                insn, end, QEMU_PLUGIN_CB_NO_REGS, NULL);
            continue;
        }
        if (!memcmp(code, change_marker, MARKER_SIZE)) {
            qemu_plugin_register_vcpu_insn_exec_cb(
                insn, change, QEMU_PLUGIN_CB_R_REGS, NULL);
            continue;
        }
        qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(
            insn, QEMU_PLUGIN_INLINE_ADD_U64, instructions, 1);
        if (places) {
            qemu_plugin_register_vcpu_insn_exec_cond_cb(
                insn, executed, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_COND_NE,
                profiling, 0, place_of(qemu_plugin_insn_vaddr(insn)));
        }
    }
}

static void at_exit(qemu_plugin_id_t id, void *data)
{
    if (measuring) {
        fprintf(file, "error operation %" PRIu64 " has no end\n", number);
    }
    fclose(file);
}

QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id,
                                           const qemu_info_t *info,
                                           int argc, char **argv)
{
    struct qemu_plugin_scoreboard *counters;
    const char *value;

    for (int i = 0; i < argc; i++) {
        bool profile = false;

        value = strchr(argv[i], '=');
        if (g_str_has_prefix(argv[i], "out=")) {
            file = fopen(value + 1, "w");
            if (!file) {
                fprintf(stderr, "meter: %s cannot be written\n", value + 1);
                return -1;
            }
        } else if (g_str_has_prefix(argv[i], "profile=") &&
                   qemu_plugin_bool_parse("profile", value + 1, &profile)) {
            if (profile) {
                places = g_hash_table_new(g_int64_hash, g_int64_equal);
            }
        } else if (g_str_has_prefix(argv[i], "monitor=")) {
            monitor_path = g_strdup(value + 1);
        } else {
            fprintf(stderr, "meter: %s: expected out=FILE, profile=on|off or"
                    " monitor=SOCKET\n", argv[i]);
            return -1;
        }
    }
    if (!file) {
        fprintf(stderr, "meter: no out=FILE\n");
        return -1;
    }
    counters = qemu_plugin_scoreboard_new(sizeof(struct counters));
    instructions = qemu_plugin_scoreboard_u64_in_struct(
        counters, struct counters, instructions);
    profiling = qemu_plugin_scoreboard_u64_in_struct(
        counters, struct counters, profiling);
    qemu_plugin_register_vcpu_init_cb(id, find_r2);
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, at_exit, NULL);
    return 0;
}
