# Three servers of etcd, of Debian's package, with its own defaults.
. "$here/ports.sh"

# certificates DIR: an authority, and one certificate for servers and clients of loopback.
certificates() {
    local dir=$1 quiet="$1/openssl.log"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
        -subj /CN=peers -keyout "$dir/ca.key" -out "$dir/ca.crt" 2>"$quiet"
    printf 'subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth,clientAuth\n' \
        >"$dir/ext"
    local who
    for who in server client; do
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$who" \
            -keyout "$dir/$who.key" -out "$dir/$who.csr" 2>>"$quiet"
        openssl x509 -req -in "$dir/$who.csr" -CA "$dir/ca.crt" -CAkey "$dir/ca.key" \
            -CAcreateserial -days 2 -extfile "$dir/ext" -out "$dir/$who.crt" 2>>"$quiet"
    done
}

# start DIR SYSTEM: fills `started` with process ids.
start() {
    local dir=$1 scheme=http secure=() n cluster=""
    mkdir -p "$dir"
    if [ "$2" = etcd-tls ]; then
        scheme=https
        certificates "$dir"
        secure=(--cert-file "$dir/server.crt" --key-file "$dir/server.key"
            --trusted-ca-file "$dir/ca.crt" --client-cert-auth
            --peer-cert-file "$dir/server.crt" --peer-key-file "$dir/server.key"
            --peer-trusted-ca-file "$dir/ca.crt" --peer-client-cert-auth)
    fi
    mapfile -t ports < <(free_ports 6)
    for n in 0 1 2; do cluster+="${cluster:+,}e$n=$scheme://127.0.0.1:${ports[n + 3]}"; done
    for n in 0 1 2; do
        local client="$scheme://127.0.0.1:${ports[n]}" peer="$scheme://127.0.0.1:${ports[n + 3]}"
        etcd --name "e$n" --data-dir "$dir/e$n" --initial-cluster "$cluster" \
            --listen-client-urls "$client" --advertise-client-urls "$client" \
            --listen-peer-urls "$peer" --initial-advertise-peer-urls "$peer" \
            --log-level error "${secure[@]}" >"$dir/e$n.log" 2>&1 &
        started+=($!)
    done
    printf '%s\n' "${ports[@]:0:3}" >"$dir/ports"
}

# The address of the server that says that it leads itself.
who_leads() {
    local dir=$1 scheme=$2 secure=() port said
    [ "$scheme" = http ] ||
        secure=(--cacert "$dir/ca.crt" --cert "$dir/client.crt" --key "$dir/client.key")
    while read -r port; do
        said=$(curl -s "${secure[@]}" -d '{}' "$scheme://127.0.0.1:$port/v3/maintenance/status")
        python3 - "$said" <<'PY' && echo "$scheme://127.0.0.1:$port" && return
import json, sys
status = json.loads(sys.argv[1])
sys.exit(status["header"]["member_id"] != status.get("leader"))
PY
    done <"$dir/ports"
}

# leader DIR SYSTEM: the target as `synod bench` reads it.
leader() {
    local scheme=http tls="" at
    [ "$2" = etcd ] || { scheme=https; tls=",tls=$1"; }
    at=$(until_said who_leads "$1" "$scheme")
    echo "etcd=$at$tls"
}
