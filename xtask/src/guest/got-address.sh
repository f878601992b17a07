#!/bin/busybox sh
# Called by udhcpc: takes the address it got, and says so.
[ "$1" = bound ] || exit 0
ip addr add "$ip/$mask" dev "$interface"
[ -n "$router" ] && ip route add default via "${router%% *}" dev "$interface"
echo "guest-ip $interface $ip" >/dev/console
