# Ports that nobody listens on just now, one a line.
free_ports() {
    python3 - "$1" <<'PY'
import socket, sys
sockets = [socket.socket() for _ in range(int(sys.argv[1]))]
for one in sockets:
    one.bind(("127.0.0.1", 0))
    print(one.getsockname()[1])
PY
}

# Tries a function again until it says something.
until_said() {
    local said tries
    for tries in $(seq 300); do
        said=$("$@" 2>/dev/null || true)
        [ -n "$said" ] && { echo "$said"; return; }
        sleep 0.1
    done
    echo "$* says nothing for 30 s" >&2
    return 1
}
