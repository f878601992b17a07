//! Networks, in a namespace of the test's own: interfaces, rules and system files that only the test
//! and what it starts can see.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::{Duration, Instant};

use replix_testkit::{DiskType, guest_file, skip};

use crate::library::Library;
use crate::namespace::is_inside;

/// A guest on a loaded machine, emulated, among its brothers.
const PATIENCE: Duration = Duration::from_secs(240);

/// When a command is typed again.
const RETRY: Duration = Duration::from_secs(3);

/// Where a guest greets who connects.
const PORT: u16 = 7;

/// What the namespace is made of: files with their modes, interfaces, rules, settings.
fn surroundings() -> String {
    let script = "find /etc /run /var/lib /usr/lib/qemu -printf '%p %y %m %s %l\\n' | sort
        ip -o addr; ip -4 route show table all; nft list ruleset; cat /proc/sys/net/ipv4/ip_forward";
    let output = Command::new("sh").args(["-c", script]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    // A folder's size tells how full it once was.
    text.lines()
        .filter(|line| !line.contains(" d "))
        .map(|line| format!("{line}\n"))
        .collect()
}

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

/// A library with the test guest on the network `connection`, a snapshot to clone; none where there
/// is no guest.
fn with_guest(connection: &str) -> Option<Library> {
    let Some(image) = guest_file("guest.vmdk") else {
        skip("no test guests ($REPLIX_TEST_GUEST)");
        return None;
    };
    let library = Library::new();
    library.set("power.accelerator = \"tcg\"\n");
    let lines = [
        // With less, the guest has no room for its agent.
        ("memsize", "128"),
        ("serial0.present", "TRUE"),
        ("serial0.fileType", "pipe"),
        ("serial0.fileName", "serial.sock"),
        ("serial0.pipe.endPoint", "server"),
        ("ethernet0.present", "TRUE"),
        ("ethernet0.virtualDev", "vmxnet3"),
        ("ethernet0.connectionType", connection),
        ("ethernet0.addressType", "generated"),
    ];
    let builder =
        library
            .builder("base")
            .disk_from("scsi0:0", DiskType::MonolithicSparse, &image, "vmdk");
    let builder = lines
        .iter()
        .fold(builder, |builder, (key, value)| builder.line(key, value));
    builder.build();
    library.shown(&["snapshot", "base", "golden"]);
    Some(library)
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
    let told = std::fs::read_to_string("/etc/vmware/vmnet8/dhcpd/dhcpd.leases").unwrap();
    assert!(
        addresses
            .iter()
            .all(|address| told.contains(&format!("lease {address} {{"))),
        "{told}"
    );

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
    let only = |one: &str, other: &str| -> Vec<String> {
        one.lines()
            .filter(|line| !other.lines().any(|l| l == *line))
            .map(String::from)
            .collect()
    };
    assert_eq!(
        (only(&after, &before), only(&before, &after)),
        (vec![], vec![])
    );
}
