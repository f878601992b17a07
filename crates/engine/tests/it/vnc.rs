//! The screen of a running VM, seen by VNC clients: where the configuration says, by password.

use std::io::{Read, Result, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use des::Des;
use des::cipher::{BlockCipherEncrypt, KeyInit};
use replix::power::StartSpec;
use replix::vm::{PowerState, RemoteDisplay};
use replix::{Kind, Vm};
use replix_testkit::{VmBuilder, folder, tree_of};

use crate::guests::{PATIENCE, pid_of, start, state, stop};
use crate::running::Stopped;
use crate::vms::*;

/// What VMware's products and scripts write for the password "squish".
const KEY: &str = "GjoGCRk6EC4aLAQhOzsFJTwPLQInMQEwJwcCAjYmKRcnGRckFR4IEBM4KhQbOgEEHDskBA85BBsfBxMALiUHAjUXGBImBxQCIxswETwOKAkzOAEwGx8iKhgrOCo7OQIMPScMGCY1CgMvBxEINAwRCTM0IREVHhIUKzgNAR0bOAQ=";

/// A VM without disks, with these lines about its VNC server.
fn vm(library: &Path, lines: &[(&str, &str)]) -> Vm {
    let builder = VmBuilder::new(library, "base").line("RemoteDisplay.vnc.enabled", "TRUE");
    let builder = lines.iter().fold(builder, |builder, (name, value)| {
        builder.line(&format!("RemoteDisplay.vnc.{name}"), value)
    });
    open(&builder.build())
}

/// Where the screen of a running VM is.
fn place(vm: &Vm) -> SocketAddr {
    let screen = vm.console().unwrap().screen.unwrap();
    SocketAddr::new(screen.address, screen.port)
}

fn read<const N: usize>(stream: &mut TcpStream) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).map(|()| bytes)
}

/// Looks at a screen as RFC 6143 has clients do; returns its size, `None` where the password is wrong.
fn look(place: SocketAddr, password: Option<&str>) -> Option<(u16, u16)> {
    let mut stream = TcpStream::connect_timeout(&place, Duration::from_secs(10)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(&read::<12>(&mut stream).unwrap(), b"RFB 003.008\n");
    stream.write_all(b"RFB 003.008\n").unwrap();
    let [count] = read(&mut stream).unwrap();
    let mut kinds = vec![0; count.into()];
    stream.read_exact(&mut kinds).unwrap();
    assert_eq!(kinds, [if password.is_some() { 2 } else { 1 }]);
    stream.write_all(&kinds).unwrap();
    if let Some(password) = password {
        let mut key = [0; 8];
        // VNC turns the bits of each byte around.
        for (to, from) in key.iter_mut().zip(password.bytes()) {
            *to = from.reverse_bits();
        }
        let cipher = Des::new(&key.into());
        let challenge: [u8; 16] = read(&mut stream).unwrap();
        for half in challenge.chunks_exact(8) {
            let mut block = <[u8; 8]>::try_from(half).unwrap().into();
            cipher.encrypt_block(&mut block);
            stream.write_all(&block).unwrap();
        }
    }
    if u32::from_be_bytes(read(&mut stream).unwrap()) != 0 {
        return None;
    }
    stream.write_all(&[1]).unwrap();
    let [a, b, c, d] = read(&mut stream).unwrap();
    Some((u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])))
}

#[test]
fn screen_is_shown_to_who_knows_the_password() {
    for password in [("key", KEY), ("password", "squish")] {
        let library = folder();
        let vm = vm(
            library.path(),
            &[password, ("ip", "127.0.0.1"), ("port", "0")],
        );
        start(&vm);
        let _stopped = Stopped(vm.clone());
        let place = place(&vm);
        assert_eq!(place.ip(), IpAddr::from(Ipv4Addr::LOCALHOST));
        assert!(look(place, Some("squish")).is_some_and(|(width, _)| width > 0));
        assert_eq!(look(place, Some("wrong")), None);
        assert_eq!(look(place, Some("")), None);
        let line = std::fs::read(format!("/proc/{}/cmdline", pid_of(&vm))).unwrap();
        let line = String::from_utf8_lossy(&line).into_owned();
        assert!(line.contains("password=on") && !line.contains("squish"));
    }
}

#[test]
fn start_decides_where_the_screen_is() {
    let library = folder();
    let vm = vm(library.path(), &[("port", "1"), ("password", "squish")]);
    let spec = StartSpec {
        vnc: Some(RemoteDisplay {
            address: None,
            port: 0,
            password: None,
        }),
        ..StartSpec::default()
    };
    vm.power_on(spec).wait().unwrap();
    let _stopped = Stopped(vm.clone());
    let place = place(&vm);
    assert_eq!(place.ip(), IpAddr::from(Ipv4Addr::LOCALHOST));
    assert!(look(place, None).is_some());
}

#[test]
fn vm_without_a_server_shows_nothing() {
    let library = folder();
    let vm = open(&VmBuilder::new(library.path(), "base").build());
    assert_eq!(vm.console().unwrap_err().kind(), Kind::VmNotRunning);
    start(&vm);
    let _stopped = Stopped(vm.clone());
    assert_eq!(vm.console().unwrap().screen, None);
}

#[test]
fn taken_port_is_said_and_nothing_starts() {
    let library = folder();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let port = port.to_string();
    let vm = vm(library.path(), &[("port", &port)]);
    let refused = || {
        let error = vm.power_on(StartSpec::default()).wait().unwrap_err();
        assert_eq!(error.kind(), Kind::CannotStart);
        let text = error.to_string();
        assert!(text.contains(&port) && text.contains("in use"), "{text}");
        assert!(error.advice().unwrap().contains("RemoteDisplay.vnc.port"));
    };
    refused();
    assert_eq!(state(&vm), PowerState::Off);
    let left = tree_of(library.path()).into_keys();
    let left: Vec<_> = left.filter(|path| !path.ends_with("vmware.log")).collect();
    assert_eq!(left, [Path::new("base"), Path::new("base/base.vmx")]);

    drop(taken);
    start(&vm);
    vm.suspend(replix::power::StopMode::Hard).wait().unwrap();
    let taken = TcpListener::bind(format!("127.0.0.1:{port}")).unwrap();
    refused();
    assert_eq!(state(&vm), PowerState::Suspended);
    drop(taken);
    start(&vm);
    assert!(look(place(&vm), None).is_some());
    stop(&vm);
}

#[test]
fn senseless_server_is_refused_before_a_start() {
    let library = folder();
    let vm = vm(library.path(), &[("key", "squish")]);
    let error = vm.power_on(StartSpec::default()).wait().unwrap_err();
    assert_eq!(error.kind(), Kind::BadConfig);
    assert!(error.to_string().contains("RemoteDisplay.vnc.key"));
    let warnings = vm.info().unwrap().warnings;
    assert!(warnings.iter().any(|told| told.contains("vnc.key")));
}
