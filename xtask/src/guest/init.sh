#!/bin/busybox sh
# The test guest's only program. It says on the first serial port what a test wants to know:
#
#   hello from guest marker=M boots=N fsid=XXXXXXXX uuid=U disk=D up=S
#   guest-disk D sectors=N driver=D marker=M
#   guest-nic IF mac=M driver=D
#   guest-ready
#   guest-ip IF ADDRESS            a moment later, where DHCP answers
#   guest-tick N                   each second, for ever
#
# and runs each line that comes in there as a command. A disk's marker is the text in its second
# sector; the number of boots is kept on the disk's FAT file system, written through at once.
#
# Written for emulated CPUs, where starting a program takes a hundredth of a second: what the shell
# can do itself it does, and what no greeting waits for comes last.
/bin/busybox mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
export PATH=/sbin:/bin:/usr/sbin:/usr/bin

# Loads the drivers of the PCI devices whose class starts with one of $*, and the modules $MORE.
load_drivers() {
	aliases=
	for device in /sys/bus/pci/devices/*; do
		read -r class <"$device/class"
		for wanted in "$@"; do
			case $class in
			"$wanted"*) read -r alias <"$device/modalias"; aliases="$aliases $alias" ;;
			esac
		done
	done
	modprobe -q -b -a $aliases $MORE
}

# Prints the driver of the PCI device that the device $1 hangs on.
driver_of() {
	path=$(readlink -f "$1")
	while [ "$path" != /sys ]; do
		path=${path%/*}
		[ -e "$path/modalias" ] || continue
		read -r alias <"$path/modalias"
		case $alias in
		pci:*) driver=$(readlink "$path/driver"); echo "${driver##*/}"; return ;;
		esac
	done
	echo none
}

# Prints the $3 bytes at offset $2 of the file $1.
bytes_at() {
	dd if="$1" bs=1 skip="$2" count="$3" 2>/dev/null
}

# Prints the text in the second sector of the disk $1.
marker_of() {
	text=$(dd if="$1" bs=512 skip=1 count=1 2>/dev/null | tr -d '\000')
	echo "${text:-none}"
}

# Waits up to 10 s for a partition labelled TESTGUEST and prints its device.
find_partition() {
	tries=0
	while [ $tries -lt 200 ]; do
		for part in /dev/sd?1 /dev/nvme?n?p1 /dev/vd?1; do
			[ -b "$part" ] && [ "$(bytes_at "$part" 43 9)" = TESTGUEST ] && echo "$part" && return
		done
		tries=$((tries + 1))
		sleep 0.05
	done
}

MORE='sd_mod vfat nls_cp437 nls_ascii' load_drivers 0x01
part=$(find_partition)
if [ -n "$part" ]; then
	case $part in
	*p1) disk=${part%p1} ;;
	*) disk=${part%1} ;;
	esac
	fsid=$(bytes_at "$part" 39 4 | hexdump -e '1/4 "%08x"')
	mount -t vfat -o sync "$part" /disk
	read -r boots </disk/boots.txt
	boots=$((boots + 1))
	echo "$boots" >/disk/boots.txt
	marker=$(marker_of "$disk")
else
	echo 'guest-error no disk has a partition labelled TESTGUEST'
fi
[ -e /sys/class/dmi/id/product_uuid ] && read -r uuid </sys/class/dmi/id/product_uuid
read -r up _ </proc/uptime
echo "hello from guest marker=${marker:-none} boots=${boots:-none} fsid=${fsid:-none}" \
	"uuid=${uuid:-none} disk=${disk#/dev/} up=$up"

MORE='sr_mod' load_drivers 0x02 0x01
for path in /sys/block/sd* /sys/block/sr* /sys/block/nvme* /sys/block/vd*; do
	[ -e "$path" ] || continue
	name=${path##*/}
	read -r sectors <"$path/size"
	echo "guest-disk $name sectors=$sectors driver=$(driver_of "$path") marker=$(marker_of "/dev/$name")"
done
for path in /sys/class/net/eth*; do
	[ -e "$path" ] || continue
	read -r mac <"$path/address"
	echo "guest-nic ${path##*/} mac=$mac driver=$(driver_of "$path")"
done
echo guest-ready

i=0
while :; do
	i=$((i + 1))
	echo "guest-tick $i"
	sleep 1
done &

busybox --install -s
hostname "${marker:-guest}"
MORE='af_packet button evdev virtio_pci virtio_console' load_drivers 0x07
ip link set lo up
for path in /sys/class/net/eth*; do
	[ -e "$path" ] || continue
	ip link set "${path##*/}" up
	udhcpc -i "${path##*/}" -s /bin/got-address -q -n -t 20 -T 1 -f >/dev/null 2>&1 &
done
acpid -c /etc/acpi -l /dev/null
for path in /sys/class/virtio-ports/*; do
	[ -e "$path" ] && read -r port <"$path/name" && [ "$port" = org.qemu.guest_agent.0 ] || continue
	# busybox has an applet of this name that cannot change users.
	rm /bin/setpriv
	(cd / && gunzip -c /disk/agent.gz | cpio -i -d -u 2>/dev/null)
	mkdir -m 1777 /tmp
	mkdir -m 700 /root
	mkdir /home
	for user in alice bob carol dave; do
		mkdir -m 700 "/home/$user"
		chown "$user:$user" "/home/$user"
	done
	qemu-ga -m virtio-serial -p "/dev/${path##*/}" -f /run/qga.pid -t /run -d
done

stty -echo
while :; do
	if read -r line; then
		eval "$line"
	else
		sleep 1
	fi
done
