/* A Modbus device built on libmodbus, for the tests beside it.
   usage: libmodbus_server tcp [PORT]    listens on a port of 127.0.0.1, a free one if none is given, and prints it
          libmodbus_server blank [PORT]  the same with 1000 holding registers, all 0
          libmodbus_server rtu DEVICE   answers as unit 7 on a serial line, 115200 8N1, and prints "ready" */
#include <arpa/inet.h>
#include <errno.h>
#include <modbus.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const uint16_t HOLDING[] = {0x4365, 0x028F, 0x028F, 0x4365, 0x6543, 0x8F02, 0x8F02, 0x6543, 0x0123, 0x4567,
                                   0x89AB, 0xCDEF, 0xFF85, 0x4130, 0x3034, 0x3200, 0x0008, 0x8000, 0x0007};
static const uint16_t INPUT[] = {0x0001, 0x86A0};

static modbus_mapping_t *device(void) {
    modbus_mapping_t *map = modbus_mapping_new_start_address(0, 20, 16, 20, 100, 19, 200, 2);
    memcpy(map->tab_registers, HOLDING, sizeof HOLDING);
    memcpy(map->tab_input_registers, INPUT, sizeof INPUT);
    for (int i = 0; i < 20; i++) {
        map->tab_bits[i] = i % 3 == 0;
        map->tab_input_bits[i] = i % 2;
    }
    return map;
}

static void say(const char *word, int number) {
    printf(word, number);
    fflush(stdout);
}

int main(int argc, char **argv) {
    modbus_mapping_t *map = strcmp(argv[1], "blank") ? device() : modbus_mapping_new(0, 0, 1000, 0);
    uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
    int serial = argc == 3 && strcmp(argv[1], "rtu") == 0;
    modbus_t *context = serial ? modbus_new_rtu(argv[2], 115200, 'N', 8, 1) : modbus_new_tcp("127.0.0.1", argc == 3 ? atoi(argv[2]) : 0);
    struct sockaddr_in place;
    socklen_t size = sizeof place;
    int listener = -1, length;
    modbus_set_slave(context, serial ? 7 : 1);
    if (serial) {
        if (modbus_connect(context) == -1) return 1;
        say("ready\n", 0);
    } else {
        if ((listener = modbus_tcp_listen(context, 1)) == -1) return 1;
        getsockname(listener, (struct sockaddr *)&place, &size);
        say("%d\n", ntohs(place.sin_port));
    }
    for (;;) {
        if (!serial && modbus_tcp_accept(context, &listener) == -1) return 1;
        while ((length = modbus_receive(context, query)) != -1 || (serial && errno != EBADF))
            if (length > 0) modbus_reply(context, query, length, map);
        modbus_close(context);
        if (serial) return 1;
    }
}
