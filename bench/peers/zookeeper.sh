# Three servers of ZooKeeper, of Debian's package, with its own defaults: every write is synced.
. "$here/ports.sh"

# start DIR SYSTEM: fills `started` with process ids.
start() {
    local dir=$1 n servers=""
    mapfile -t ports < <(free_ports 9)
    for n in 0 1 2; do
        servers+="server.$n=127.0.0.1:${ports[n + 3]}:${ports[n + 6]}"$'\n'
    done
    for n in 0 1 2; do
        mkdir -p "$dir/z$n/conf"
        echo "$n" >"$dir/z$n/myid"
        cat >"$dir/z$n/conf/zoo.cfg" <<CFG
tickTime=2000
initLimit=10
syncLimit=5
dataDir=$dir/z$n
clientPort=${ports[n]}
clientPortAddress=127.0.0.1
maxClientCnxns=0
admin.enableServer=false
4lw.commands.whitelist=srvr
$servers
CFG
        java -cp /usr/share/java/zookeeper.jar \
            org.apache.zookeeper.server.quorum.QuorumPeerMain "$dir/z$n/conf/zoo.cfg" \
            >"$dir/z$n.log" 2>&1 &
        started+=($!)
    done
    printf '%s\n' "${ports[@]:0:3}" >"$dir/ports"
}

who_leads() {
    local port
    while read -r port; do
        exec 9<>"/dev/tcp/127.0.0.1/$port" || continue
        printf srvr >&9
        if grep -q 'Mode: leader' <&9; then echo "127.0.0.1:$port"; return; fi
    done <"$1/ports"
}

# leader DIR SYSTEM: the target as `synod bench` reads it.
leader() {
    local at
    at=$(until_said who_leads "$1")
    echo "zookeeper=$at"
}
