/* A plant of Modbus devices for the benchmarks, built on libmodbus: every unit id answers with the same 10,000 holding
   registers, and each of them moves a little once a second.
   usage: gateway_plant PORT     listens on 127.0.0.1 (0 = a free port), prints the port, ends with its standard input */
#include <arpa/inet.h>
#include <modbus.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/select.h>
#include <time.h>
#include <unistd.h>

#define REGISTERS 10000

int main(int argc, char **argv) {
    modbus_t *context = modbus_new_tcp("127.0.0.1", argc > 1 ? atoi(argv[1]) : 0);
    modbus_mapping_t *map = modbus_mapping_new(0, 0, REGISTERS, 0);
    uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
    struct sockaddr_in place;
    socklen_t size = sizeof place;
    time_t moved = 0;
    fd_set open, ready;
    int listener = modbus_tcp_listen(context, 64), highest = listener;
    if (listener == -1) return 1;
    getsockname(listener, (struct sockaddr *)&place, &size);
    printf("%d\n", ntohs(place.sin_port));
    fflush(stdout);
    for (int i = 0; i < REGISTERS; i++) map->tab_registers[i] = 200 + i % 500;
    FD_ZERO(&open);
    FD_SET(listener, &open);
    FD_SET(STDIN_FILENO, &open);
    for (;;) {
        if (time(NULL) != moved) {
            moved = time(NULL);
            for (int i = 0; i < REGISTERS; i++) map->tab_registers[i] += rand() % 5 - 2;
        }
        ready = open;
        struct timeval tick = {0, 100000};
        if (select(highest + 1, &ready, NULL, NULL, &tick) == -1) return 1;
        if (FD_ISSET(STDIN_FILENO, &ready)) return 0;
        for (int client = 0; client <= highest; client++) {
            if (!FD_ISSET(client, &ready)) continue;
            if (client == listener) {
                int accepted = accept(listener, NULL, NULL);
                if (accepted != -1 && accepted < FD_SETSIZE) FD_SET(accepted, &open);
                if (accepted > highest) highest = accepted;
                continue;
            }
            modbus_set_socket(context, client);
            int length = modbus_receive(context, query);
            if (length > 0) modbus_reply(context, query, length, map);
            if (length == -1) {
                close(client);
                FD_CLR(client, &open);
            }
        }
    }
}
