//! Networks, in a namespace of the test's own.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::guests::{PATIENCE, with_guest};
use crate::library::{Library, Program};
use crate::namespace::{NONE, difference, is_inside, surroundings};

/// When a command is typed again.
const RETRY: Duration = Duration::from_secs(3);

/// Where a guest greets who connects.
const PORT: u16 = 7;

/// Waits until `look` finds something.
fn await_some<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "there is no {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A started clone of the guest.
struct Guest {
    name: String,
    serial: UnixStream,
    said: String,
    address: Ipv4Addr,
}

impl Guest {
    /// Starts a clone. What its guest says is heard from now on.
    fn start(library: &Library, name: &str) -> Self {
        library.shown(&["start", name]);
        Self::of(library, name)
    }

    /// A clone that was just started.
    fn of(library: &Library, name: &str) -> Self {
        let serial = UnixStream::connect(library.path(name).join("serial.sock")).unwrap();
        serial.set_read_timeout(Some(PATIENCE)).unwrap();
        Self {
            name: name.into(),
            serial,
            said: String::new(),
            address: Ipv4Addr::UNSPECIFIED,
        }
    }

    /// Waits until the guest has an address.
    fn await_address(&mut self, library: &Library) {
        let wait = PATIENCE.as_secs().to_string();
        let address = library.shown(&["ip", &self.name, "--wait", &wait]);
        self.address = address.trim().parse().unwrap();
        // The lease is given a moment before the guest takes it.
        self.await_line(&format!("guest-ip eth0 {}", self.address));
    }

    /// Waits until the guest says `wanted`.
    fn await_line(&mut self, wanted: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.said.contains(wanted) {
            assert!(
                Instant::now() < deadline,
                "{}: no {wanted:?}: {}",
                self.name,
                self.said
            );
            let mut bytes = [0; 4096];
            let got = self.serial.read(&mut bytes).unwrap();
            assert!(got > 0, "{} ended: {}", self.name, self.said);
            self.said += &String::from_utf8_lossy(&bytes[..got]);
        }
    }

    /// Has a command done by the guest.
    fn command(&mut self, line: &str) {
        writeln!(self.serial, "{line}").unwrap();
    }

    /// Has it greet everybody who connects, by its address. What is typed before its shell reads may be
    /// lost, so it is typed until it is done; quotes tell the answer from the echo of the command.
    fn listen(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        let address = self.address;
        self.serial.set_read_timeout(Some(RETRY)).unwrap();
        while !self.said.contains("listening") {
            assert!(Instant::now() < deadline, "{}: {}", self.name, self.said);
            self.command(&format!(
                "nc -ll -p {PORT} -e echo here-is {address} & echo list''ening"
            ));
            let begin = Instant::now();
            while begin.elapsed() < RETRY && !self.said.contains("listening") {
                let mut bytes = [0; 4096];
                // Silence is an error here.
                let got = self.serial.read(&mut bytes).unwrap_or(0);
                self.said += &String::from_utf8_lossy(&bytes[..got]);
            }
        }
        self.serial.set_read_timeout(Some(PATIENCE)).unwrap();
    }

    /// The greeting that the host hears.
    fn greeting(&self) -> String {
        await_some("greeting", || {
            let address = SocketAddr::from((self.address, PORT));
            let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5)).ok()?;
            let mut text = String::new();
            stream.read_to_string(&mut text).ok().map(|_| text)
        })
    }
}

#[test]
fn clones_reach_each_other_and_the_host() {
    if !is_inside("networks::clones_reach_each_other_and_the_host") {
        return;
    }
    let Some(library) = with_guest("nat") else {
        return;
    };
    let before = surroundings();
    let setup = library
        .replix(&["network", "setup", "--nat", "192.168.77.0/24"])
        .to_string();
    assert!(
        setup.contains("vmnet8  nat       192.168.77.0/24\n"),
        "{setup}"
    );

    let count = std::env::var("REPLIX_TEST_CLONES").map_or(4, |count| count.parse().unwrap());
    let begin = Instant::now();
    let words = [
        "clone",
        "--linked",
        "--count",
        &format!("{count}"),
        "base",
        "lab",
    ];
    library.shown(&words);
    let names: Vec<String> = std::fs::read_dir(library.dir())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "base")
        .collect();
    assert_eq!(names.len(), count);
    let mut guests: Vec<_> = names
        .iter()
        .map(|name| Guest::start(&library, name))
        .collect();
    let started = begin.elapsed();
    guests
        .iter_mut()
        .for_each(|guest| guest.await_address(&library));
    println!(
        "{count} clones: started {started:?}, all have addresses {:?}",
        begin.elapsed()
    );

    let mut addresses: Vec<_> = guests.iter().map(|guest| guest.address).collect();
    addresses.sort();
    addresses.dedup();
    assert_eq!(addresses.len(), count, "{addresses:?}");
    assert!(
        addresses
            .iter()
            .all(|address| address.octets()[..3] == [192, 168, 77])
    );
    // The DHCP server has them told once it has answered, so a moment after the guest has its own.
    await_some("list of all leases", || {
        let told = std::fs::read_to_string("/etc/vmware/vmnet8/dhcpd/dhcpd.leases").unwrap();
        let is_told = |address| told.contains(&format!("lease {address} {{"));
        addresses.iter().all(is_told).then_some(())
    });

    guests.iter_mut().for_each(Guest::listen);
    for guest in &guests {
        assert_eq!(guest.greeting(), format!("here-is {}\n", guest.address));
    }
    for index in 0..count {
        let other = guests[(index + 1) % count].address;
        guests[index].command(&format!("nc {other} {PORT} </dev/null"));
        guests[index].await_line(&format!("here-is {other}"));
    }
    println!("all reach each other {:?}", begin.elapsed());

    let refused = library.replix(&["network", "remove"]).to_string();
    assert!(
        refused.contains("error: VMs are connected to vmnet8\n"),
        "{refused}"
    );
    for name in &names {
        library.shown(&["stop", name, "--hard"]);
    }
    let port = || {
        Command::new("ip")
            .args(["-o", "link", "show", "master", "vmnet8"])
            .output()
    };
    await_some("end of the taps", || {
        port().unwrap().stdout.is_empty().then_some(())
    });
    library.shown(&["network", "remove"]);
    let after = surroundings();
    assert_eq!(difference(&before, &after), NONE);
}

/// A user of the machine without any rights.
const PLAIN: u32 = 12_345;

/// Runs a shell script, which must succeed.
fn shell(script: &str) {
    let status = Command::new("sh").args(["-ec", script]).status().unwrap();
    assert!(status.success(), "{script}: {status}");
}

/// Another machine, which knows a way to this one and to no network behind it: the address at which it
/// tells whoever connects where they seem to come from.
fn neighbour() -> SocketAddr {
    shell(
        "ip netns add outside
        ip link add out0 type veth peer name in0 netns outside
        ip addr add 203.0.113.2/24 dev out0
        ip link set out0 up
        ip route add default via 203.0.113.1
        ip -n outside addr add 203.0.113.1/24 dev in0
        ip -n outside link set in0 up",
    );
    let address = SocketAddr::from(([203, 0, 113, 1], PORT));
    let listening = std::thread::spawn(move || {
        let outside = std::fs::File::open("/run/netns/outside").unwrap();
        nix::sched::setns(outside, nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
        TcpListener::bind(address).unwrap()
    });
    let listener = listening.join().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let seen = stream.peer_addr().unwrap().ip();
            // A guest that is off by now is no fault of ours.
            let _ = writeln!(stream, "seen-{seen}");
        }
    });
    address
}

#[test]
fn plain_user_starts_a_guest_that_reaches_the_outside() {
    if !is_inside("networks::plain_user_starts_a_guest_that_reaches_the_outside") {
        return;
    }
    let Some(library) = with_guest("nat") else {
        return;
    };
    let outside = neighbour();
    // As the kernel has it; udev opens it to all.
    shell("mount -t tmpfs tmpfs /dev/net; mknod -m 600 /dev/net/tun c 10 200");
    let setup = library.replix(&["network", "setup", "--nat", "192.168.77.0/24"]);
    assert_eq!(setup.code, Some(0), "{}", setup.err);
    let program = library.path("replix");
    std::fs::copy(Program::Replix.path(), &program).unwrap();
    let root = library.dir().parent().map(PathBuf::from).unwrap();
    shell(&format!("chown -R {PLAIN}:{PLAIN} {}", root.display()));
    let run = |words: &[&str]| {
        let mut command = library.command("setpriv");
        let user = [format!("--reuid={PLAIN}"), format!("--regid={PLAIN}")];
        command.args(user).args(["--clear-groups", "--"]);
        command.arg(&program).args(words).output().unwrap()
    };
    let replix = |words: &[&str]| {
        let output = run(words);
        assert!(output.status.success(), "{words:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    replix(&["clone", "--linked", "base", "web"]);
    let refused = String::from_utf8(run(&["start", "web"]).stderr).unwrap();
    assert!(refused.contains("chmod 666 /dev/net/tun"), "{refused}");
    shell("chmod 666 /dev/net/tun");
    replix(&["start", "web"]);
    let mut guest = Guest::of(&library, "web");
    let wait = PATIENCE.as_secs().to_string();
    let address = replix(&["ip", "web", "--wait", &wait]);
    guest.address = address.trim().parse().unwrap();
    guest.await_line(&format!("guest-ip eth0 {}", guest.address));
    guest.listen();
    assert_eq!(guest.greeting(), format!("here-is {}\n", guest.address));
    guest.command(&format!("nc {} {PORT} </dev/null", outside.ip()));
    guest.await_line("seen-203.0.113.2");
    replix(&["stop", "web", "--hard"]);
    await_some("end of the tap", || {
        let ports = Command::new("ip")
            .args(["-o", "link", "show", "master", "vmnet8"])
            .output();
        ports.unwrap().stdout.is_empty().then_some(())
    });
    library.shown(&["network", "remove"]);
    shell("ip link del out0; ip netns del outside");
}
