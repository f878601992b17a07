//! A namespace of a test's own: interfaces, rules and system files that only the test and what it starts
//! can see.

use std::process::Command;

use replix_testkit::skip;

/// Set inside of the namespace.
const INSIDE: &str = "REPLIX_TEST_NAMESPACE";

/// Makes a namespace its own: what is written to the system's folders stays in memory. Arguments: a
/// folder for that, the program to run and its arguments.
const ENTER: &str = r#"
set -e
scratch=$1
shift
mount --make-rprivate /
mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs "$scratch"
for folder in etc var/lib usr/lib/qemu; do
    mkdir -p "$scratch/$folder/new" "$scratch/$folder/work"
    mount -t overlay overlay -o "lowerdir=/$folder,upperdir=$scratch/$folder/new,workdir=$scratch/$folder/work" "/$folder"
done
mount -t tmpfs tmpfs /run
mkdir -m 700 /run/replix
ip link set lo up
exec "$@"
"#;

/// Tells whether the test `name` runs in a namespace of its own; elsewhere it is run again in one, or
/// it is said why not.
pub fn is_inside(name: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let unshare = |script: &str| {
        let mut command = Command::new("unshare");
        // With its first process, everything ends that runs in it.
        let spaces = [
            "--net",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
        ];
        command.args(spaces).args(["sh", "-c", script]);
        command
    };
    let tools = "for tool in ip nft dnsmasq; do command -v $tool; done; : <>/dev/net/tun; mount -t sysfs sysfs /sys";
    if !unshare(&format!("set -e; {tools}"))
        .output()
        .is_ok_and(|out| out.status.success())
    {
        skip("no network namespace can be made, or /dev/net/tun, ip, nft or dnsmasq is missing");
        return false;
    }
    let scratch = replix_testkit::folder();
    let status = unshare(ENTER)
        .arg("sh")
        .args([scratch.path(), &std::env::current_exe().unwrap()])
        .args([name, "--exact", "--nocapture"])
        .env(INSIDE, "1")
        .status()
        .unwrap();
    assert!(status.success(), "in its namespace: {status}");
    false
}
