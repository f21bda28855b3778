//! The simulated kernel beside the real one: the same requests, and every message compared.
//!
//! Needs the right to make a network namespace (root, or user namespaces); says "skipped: why" without it.
#![allow(unsafe_code)] // Namespaces and sockets of the real kernel.

#[path = "support/conformance/mod.rs"]
mod conformance;
#[path = "support/sim/mod.rs"]
mod sim;

/// Each in a thread of its own, and so in a namespace of its own; without the right to make one, in a process of
/// its own, in a user namespace.
fn conform(name: &str, script: &'static str) {
    if !conformance::real::is_allowed() {
        if let Err(why) = conformance::real::run_again(name) {
            eprintln!("skipped: {why}");
        }
        return;
    }
    let played = std::thread::spawn(|| conformance::conform(script)).join();
    match played {
        Ok(Ok(())) => {}
        Ok(Err(why)) => eprintln!("skipped: {why}"),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

macro_rules! scenarios {
    ($($name:ident: $script:expr;)*) => {
        $(#[test] fn $name() { conform(stringify!($name), $script); })*
    };
}

scenarios! {
    creating_and_deleting: "
        add br0 bridge mac 02:00:00:00:00:09
        add br1 bridge
        add br1 bridge
        add v0 veth mac 02:00:00:00:00:01 peer v1/02:00:00:00:00:02
        add v0 veth peer v7
        add v7 veth peer v0
        add i0 ifb mac 02:00:00:00:00:03 mtu 1400 qlen 77 group 5
        add mv0 macvlan link v0 mac 02:00:00:00:00:04
        add vx0 vxlan data 1=07000000 data 15=12b5 on v1 mac 02:00:00:00:00:05
        add vx1 vxlan data 1=07000000 data 15=12b5
        add vx1 vxlan data 1=08000000 data 15=12b5 mac 02:00:00:00:00:06 up
        add br5 bridge index 77 up mac 02:00:00:00:00:07
        add br6 bridge index 77
        add foo nosuch
        add a/b bridge
        add averyveryverylongname bridge
        add mv1 macvlan
        add mv1 macvlan link #55
        add mv1 macvlan link lo
        add e0 bridge echo mac 02:00:00:00:00:08
        add e1 veth echo mac 02:00:00:00:00:0a peer e2/02:00:00:00:00:0b
        get e0
        get #66
        del e0 echo
        del e1 echo
        del #66
        del lo
        del v1
        del vx1
        del br5
        add br7 bridge mac 02:00:00:00:00:0c
        unknown 999
        unknown 98
        short
        noop
    ";
    flags_and_fields: "
        add v0 veth mac 02:00:00:00:00:01 peer v1/02:00:00:00:00:02
        set v0 alias quiet
        set v0 group 7
        set v0 mtu 1400
        set v0 mtu 1400
        set v0 qlen 500
        set v0 qlen 500
        set v0 mtu 9
        set v0 mtu 70000
        set v0 up
        set v0 up
        set v0 alias loud
        set v0 alias loud
        set v0 alias none
        set v0 group 3
        set v0 promisc
        set v0 allmulti
        set v0 -promisc
        set v0 noarp
        set v0 -noarp
        set v0 -multicast
        set v0 mac 02:00:00:00:00:03
        set v0 mac 02:00:00:00:00:03
        set v0 mac 01:00:00:00:00:03
        set v0 mac 00:00:00:00:00:00
        set v0 brd ff:ff:ff:ff:ff:fe
        set v0 name w0
        set w0 name w0
        set w0 name v1
        set v1 up
        set w0 -up
        set v1 -up
        byname v1 mtu 1300
        byname nosuch mtu 1300
        setlink v1 mtu 1200
        setlink #99 mtu 1200
        altadd w0 alt1 alt2
        altadd w0 alt3 alt1
        altadd w0 v1
        altdel w0 alt2
        altdel w0 alt2
        altdel v1 alt1
        set w0 up
        altadd w0 alt4
        altdel w0 alt4
        byalt alt1 mtu 1500
        add alt1 bridge
        set w0 name alt1
        set w0 mtu 1600 master #55
        set w0 mtu 1700 name v1
        set w0 mtu 1800 master v1
        set w0 linkmode 1
        set w0 linkmode 1
        set v1 mtu 9 ; set v1 mtu 1500 ; set v1 name v2 ; noop
        set w0 rawmac 0203
        set lo up
        set lo mtu 1000
        set lo mtu 1400
        set lo -up
        set lo up
    ";
    a_bridge_and_its_ports: "
        add br0 bridge
        add v0 veth mac 02:00:00:00:00:05 peer v1/02:00:00:00:00:06
        add v2 veth mac 02:00:00:00:00:03 peer v3/02:00:00:00:00:04
        set v0 master br0
        set v0 master br0
        set v0 master none
        set v0 master none
        set br0 up
        set v0 up
        set v0 master br0
        set v1 up
        set v2 mtu 1400 up
        set v2 master br0
        set v3 up
        set v2 mtu 1300
        set v2 mac 02:00:00:00:00:09
        set v0 mac 02:00:00:00:00:01
        set br0 mtu 1350
        set v2 mtu 1310
        set v2 -up
        set v2 up
        set v3 -up
        set v3 up
        set br0 -up
        set br0 up
        set v2 master none
        set br0 mac 02:00:00:00:00:08
        set v2 master br0
        set br0 master br0
        add br1 bridge mac 02:00:00:00:00:0a
        set br1 master br0
        set lo master br0
        set v0 master v1
        add br6 bridge mac 02:00:00:00:00:0b master br0
        add v4 veth mac 02:00:00:00:00:0c peer v5/02:00:00:00:00:0d master br0 up
        set v0 master br1
        set v2 promisc
        set v2 master none
        set v2 -promisc
        del v4
        del v1
        set v2 master br0 up
        set br0 -up
        del br0
        add i0 ifb mac 02:00:00:00:00:0e
        set i0 master br1
        set i0 up
        set br1 up
        del i0
    ";
    bridge_options: "
        add br0 bridge mac 02:00:00:00:00:09 data 5=01000000 data 1=c8000000
        set br0 kind bridge data 4=64000000
        set br0 up
        set br0 kind bridge data 1=01000000
        set br0 kind bridge data 1=2d010000
        set br0 kind bridge data 2=32000000
        set br0 kind bridge data 2=2d010000
        set br0 kind bridge data 3=64000000
        set br0 kind bridge data 5=00000000
        set br0 kind bridge data 5=00000000
        set br0 kind bridge data 1=01000000
        set br0 kind bridge data 5=01000000
        set br0 kind bridge data 6=0010
        set br0 kind bridge data 7=01
        set br0 kind bridge data 9=0100
        set br0 kind bridge data 9=0800
        set br0 kind bridge data 22=03
        set br0 kind bridge data 22=02
        set br0 kind bridge data 23=00
        set br0 kind bridge data 23=05
        set br0 kind bridge data 24=01 data 25=01 data 42=01 data 36=01
        set br0 kind bridge data 27=e8030000
        set br0 kind bridge data 28=05000000 data 29=06000000
        set br0 kind bridge data 30=6500000000000000
        set br0 kind bridge data 31=6500000000000000 data 32=6500000000000000
        set br0 kind bridge data 43=04
        set br0 kind bridge data 43=03 data 44=02
        set br0 kind bridge data 20=0180c2000004
        set br0 kind bridge data 20=0180c2000001
        set br0 kind bridge data 49=0a000000
        set br0 kind bridge data 46=0100000001000000
        set br0 kind bridge data 4=00000000 data 2=01000000 mtu 1400
        set br0 kind bridge data 4=00
        set br0 kind veth data 4=00000000
        set br0 kind bridge mtu 1450
        add v0 veth mac 02:00:00:00:00:01 peer v1/02:00:00:00:00:02
        set v0 port 9=00
        set v0 master br0
        set v0 port 2=4000
        set v0 port 2=1000
        set v0 port 3=00000000
        set v0 port 3=37000000
        set v0 port 1=01
        set v0 port 4=01 port 5=01 port 7=01 port 8=00 port 9=00 port 33=01 port 25=02
        set v0 port 25=09
        set v0 port 31=0100
        set v0 port 31=0200
        set v0 port 31=0800
        set v0 up
        set v0 port 32=01 mtu 1400
        set br0 kind bridge data 5=00000000
        set v1 up
        set v0 port 1=04
        set v0 port 1=03
        set br0 -up
        set br0 kind bridge data 4=c8000000
        set v0 master none
    ";
    spanning_tree: "
        topology
        add br0 bridge mac 02:00:00:00:00:09 data 1=c8000000 data 5=01000000 up
        add v0 veth mac 02:00:00:00:00:01 peer v1/02:00:00:00:00:02
        set v0 master br0 up
        set v1 up
        set v0 -up
        set br0 kind bridge data 5=00000000
        set v0 up
        set br0 kind bridge data 5=01000000
        set br0 -up
        set v1 -up
        del br0
    ";
    macvlan_and_vxlan: "
        add v0 veth mac 02:00:00:00:00:01 peer v1/02:00:00:00:00:02
        add mv0 macvlan link v0 mac 02:00:00:00:00:03 data 1=04000000
        add mv1 macvlan link mv0 mac 02:00:00:00:00:04 mtu 1400
        add mv2 macvlan link v0 mtu 1600
        add mv2 macvlan link v0 data 1=03000000
        set mv0 up
        set v0 up
        set v1 up
        set mv1 up
        set mv0 mac 02:00:00:00:00:01
        set mv0 mac 02:00:00:00:00:07
        set mv0 kind macvlan data 1=01000000
        set mv0 kind macvlan data 1=08000000
        set mv0 mtu 1600
        set v0 mtu 1350
        set v0 -up
        set v0 up
        set mv0 -up
        set mv1 -up
        add br0 bridge mac 02:00:00:00:00:09
        set v0 master br0
        set mv0 master br0
        set v1 master br0
        add mv3 macvlan link v1
        del mv1
        add vx0 vxlan data 1=07000000 data 15=12b5 on v1 data 4=0a000001 data 2=0a000002 data 5=03 mac 02:00:00:00:00:0a
        set vx0 kind vxlan data 5=09
        set vx0 kind vxlan data 1=08000000
        set vx0 kind vxlan data 15=0005
        set vx0 kind vxlan data 1=07000000 data 8=c8000000 data 7=00
        set vx0 mtu 1451
        set vx0 mtu 1400
        set vx0 up
        set vx0 kind vxlan data 6=04
        set vx0 master br0
        set br0 up
        add vx1 vxlan data 1=00000001
        add vx1 vxlan
        add vx2 vxlan data 1=09000000 on br0 mac 02:00:00:00:00:0e
        set vx2 master br0
        set vx2 kind vxlan on vx2
        set vx2 kind vxlan on #77
        del vx2
        add i0 ifb mac 02:00:00:00:00:0b
        set i0 mac 02:00:00:00:00:0c
        set i0 mtu 70000
        set i0 up
        set i0 kind ifb alias x
        del v1
    ";
    ipv4_addresses: "
        add v0 veth mac 02:00:00:00:00:01 peer v1/02:00:00:00:00:02
        addr v0 10.0.0.1/24
        addr v0 10.0.0.1/24
        addr v0 10.0.0.1/25
        addr v0 10.0.0.2/24 brd 10.0.0.255 label v0:x echo
        addr v0 10.0.0.3/24 proto 9 metric 5
        addr v0 10.0.0.3/24 replace
        addr v0 10.0.0.3/24 replace label v0:zz life 50/100 proto 3
        addr v0 10.0.0.4/24 scope 253
        addr v0 10.0.1.4/24 scope 253
        addr v0 10.0.2.4/24
        addr v0 10.0.0.5/32 peer 10.0.0.6
        addr v0 10.0.0.5/24 peer 10.9.0.6
        addr v0 10.0.0.5/24 peer 10.9.0.7
        addr v0 0.0.0.0/24
        addr v0 224.0.0.1/24
        addr v0 10.1.0.1/33
        addr #66 10.1.0.1/24
        addr v0 10.8.0.1/24 life 50/100
        addr v0 10.8.0.2/24 life 0/100
        addr v0 10.8.0.3/24 life 100/50
        addr v0 10.8.0.3/24 life 0/0
        addr v0 10.8.0.4/24 flags 512
        set v0 name w0
        set w0 up
        set v1 up
        set w0 -up
        deladdr w0 10.0.0.9/24
        deladdr w0 10.0.0.2/25
        deladdr w0 10.0.0.2/24 echo
        deladdr w0 10.0.0.1/24
        addr w0 10.0.0.1/24
        set w0 mtu 68
        addr lo 10.99.0.1/32
        set lo up
        deladdr lo 127.0.0.1/8
        set lo -up
        set lo up
        del w0
    ";
    promoted_secondaries: "
        promote
        add v0 veth mac 02:00:00:00:00:01 peer v1/02:00:00:00:00:02
        addr v0 10.0.0.1/24
        addr v0 10.5.0.1/24
        addr v0 10.0.0.2/24
        addr v0 10.0.0.3/24
        addr v0 10.5.0.2/24
        addr v0 10.6.0.2/24
        deladdr v0 10.0.0.1/24
        deladdr v0 10.0.0.3/24
        deladdr v0 10.5.0.1/24
        addr v0 10.6.0.3/24
        deladdr v0 10.6.0.2/24
        deladdr v0 10.0.0.2/24
        del v0
    ";
    ipv6_addresses: "
        add v0 veth mac 02:00:00:00:00:01 peer v1/02:00:00:00:00:02
        addr v0 fd00::1/64
        addr v0 fd00::1/64
        addr v0 fd00::1/65
        addr v1 fd00::1/65
        addr v0 fd00::7/64 life 100/200
        set v0 up
        set v1 up
        addr v0 fd00::2/64
        addr v0 fd00::3/128 peer fd00::4
        addr v0 fd00::5/64 flags 2
        addr v0 fd00::6/64 flags 512 proto 5 metric 77
        addr v0 fe80::5/64
        addr v0 fd00::2/66 replace life 100/200
        addr v0 fd00::2/66 replace
        addr v0 fd00::8/64 life 0/200
        addr v0 fd00::9/129
        addr v0 ::1/128
        addr v0 ff02::1/128
        addr v0 ::/64
        addr #66 fd00::1/64
        addr v0 fd00::a/64 life 100/50
        deladdr v0 fd00::2/66
        deladdr v0 fd00::2/64
        deladdr v0 fd00::99/64
        deladdr #66 fd00::99/64
        addr v0 fd00::b/64 echo
        set v1 -up
        addr v0 fd00::c/64
        set v1 up
        set v0 -up
        set v0 up
        addr v0 fd00::d/64
        set v0 mtu 1279
        addr v0 fd00::e/64
        deladdr v0 fd00::e/64
        set v0 mtu 1280
        set v0 -up
        set v0 up
        set lo up
        addr lo fd99::1/128
        set lo -up
        add i0 ifb mac 02:00:00:00:00:0b
        addr i0 fd98::1/64
        set i0 up
        addr i0 fd98::2/64
        set i0 noarp
        del i0
        del v1
    ";
    ipv4_routes: "
        add v0 veth mac 02:00:00:00:00:01 peer v1/02:00:00:00:00:02
        add w0 veth mac 02:00:00:00:00:03 peer w1/02:00:00:00:00:04
        set lo up
        set v1 up
        set v0 up
        set w1 up
        set w0 up
        addr v0 10.0.0.1/24 brd 10.0.0.255
        addr w0 10.1.0.1/24
        route add 10.9.0.0/16 via 10.0.0.2
        route add 10.9.0.0/16 via 10.0.0.3
        route append 10.9.0.0/16 via 10.0.0.3
        route prepend 10.9.0.0/16 via 10.1.0.3
        route append 10.9.0.0/16 via 10.0.0.3
        route replace 10.9.0.0/16 via 10.0.0.4 echo
        route replace 10.9.0.0/16 via 10.0.0.4
        route replace 10.9.0.0/16 via 10.0.0.3
        route change 10.9.0.0/16 via 10.0.0.5 mtu 1400
        route change 10.8.0.0/16 via 10.0.0.5
        route bare 10.8.0.0/16 via 10.0.0.5
        route add 10.9.0.0/16 via 10.0.0.2 metric 10
        route add 10.9.0.0/16 via 10.0.0.2 tos 16
        route add 10.9.0.0/16 via 10.0.0.2 tos 1
        route add 10.9.0.0/16 via 10.0.0.2 table 1000
        route add 10.9.0.1/16 via 10.0.0.2
        route add 10.10.0.0/16 via 10.77.0.2
        route add 10.10.0.0/16 via 10.0.0.2 dev w0
        route add 10.10.0.0/16 via 10.77.0.2 dev w0 onlink
        route add 10.11.0.0/16 dev v0 src 10.1.0.1 proto 4
        route add 10.12.0.0/16 dev v0 src 10.2.0.1
        route add 10.13.0.0/16 type 6
        route add 10.14.0.0/16 type 7 metric 5
        route add 10.14.0.0/16 type 7 dev v0
        route add 10.15.0.0/16 nh 10.0.0.2,-,1 nh 10.1.0.2,w0,0
        route append 10.15.0.0/16 nh 10.0.0.2,-,2 nh 10.1.0.2,w0,0
        route add 10.16.0.0/16 nh 10.0.0.2,-,1 nh 10.66.0.2,-,0
        route add 0.0.0.0/0 via 10.0.0.2
        route add 10.17.0.0/16 type 2 dev v0 table 255
        route add 10.18.0.0/16 dev v0 scope 254
        route add 10.18.0.0/16 via 10.9.0.1
        route add 10.19.0.0/16 dev #66
        delroute 10.9.0.0/16 proto 4
        delroute 10.9.0.0/16 via 10.0.0.3
        delroute 10.9.0.0/16 metric 10 echo
        delroute 10.9.0.0/16 table 77
        delroute 10.15.0.0/16 nh 10.0.0.2,-,0 nh 10.1.0.2,-,0
        delroute 10.15.0.0/16
        delroute 10.13.0.0/16 type 7
        delroute 10.13.0.0/16 type 6
        delroute 10.13.0.0/16
    ";
    ipv4_routes_that_go_in_silence: "
        add v0 veth mac 02:00:00:00:00:01 peer v1/02:00:00:00:00:02
        add w0 veth mac 02:00:00:00:00:03 peer w1/02:00:00:00:00:04
        set v1 up
        set v0 up
        set w1 up
        set w0 up
        addr v0 10.0.0.1/24
        addr v0 10.0.0.5/24
        addr v0 10.3.0.1/32
        addr w0 10.1.0.1/24 metric 7
        route add 10.9.0.0/16 via 10.0.0.2
        route add 10.10.0.0/16 nh 10.0.0.2,-,0 nh 10.1.0.2,-,0
        route add 10.11.0.0/16 dev w0 src 10.0.0.5
        route add 10.11.0.0/16 dev w0 src 10.0.0.5 table 70
        route append 10.11.0.0/16 dev w0
        set v0 -up
        set w0 -up
        set w0 up
        set v0 up
        route add 10.10.0.0/16 nh 10.0.0.2,-,0 nh 10.1.0.2,-,0
        route add 10.11.0.0/16 dev w0 src 10.0.0.5
        route add 10.12.0.0/16 dev v0
        deladdr v0 10.0.0.5/24
        deladdr v0 10.0.0.1/24
        deladdr v0 10.3.0.1/32
        addr v0 10.0.0.1/24
        route add 10.12.0.0/16 dev v0
        addr w0 10.1.0.1/24 metric 9 replace
        addr w0 10.1.0.2/24
        deladdr w0 10.1.0.1/24
        addr w0 10.1.0.1/24
        route add 10.12.0.0/16 nh 10.0.0.2,-,0 nh 10.1.0.2,-,0
        set v1 -up
        set v1 up
        add br0 bridge mac 02:00:00:00:00:09
        set w0 master br0
        del v0
        set w0 mtu 60
        del w0
    ";
    promotion_and_routes: "
        promote
        add i0 ifb mac 02:00:00:00:00:01
        set i0 up
        addr i0 10.0.0.1/24 brd 10.0.0.255
        addr i0 10.0.0.2/24 brd 10.0.0.255
        addr i0 10.0.0.3/24
        addr i0 10.1.0.1/24
        route add 10.9.0.0/16 via 10.0.0.9
        route add 10.10.0.0/16 via 10.0.0.9 src 10.0.0.1
        deladdr i0 10.0.0.1/24
        deladdr i0 10.0.0.3/24
        deladdr i0 10.0.0.2/24
        deladdr i0 10.1.0.1/24
    ";
    ipv6_routes: "
        add v0 veth mac 02:00:00:00:00:01 peer v1/02:00:00:00:00:02
        add w0 veth mac 02:00:00:00:00:03 peer w1/02:00:00:00:00:04
        set lo up
        set v1 up
        set v0 up
        set w1 up
        set w0 up
        addr v0 fd00::1/64
        addr w0 fd01::1/64 metric 300
        route add fd09::/64 via fd00::2
        route add fd09::/64 via fd00::2
        route append fd09::/64 via fd00::2
        route append fd09::/64 via fd01::2
        route prepend fd09::/64 via fd01::3 echo
        delroute fd09::/64 via fd01::2
        route replace fd09::/64 via fd00::7
        route add fd09::/64 via fd00::2 metric 10
        route prepend fd09::/64 dev v0
        route prepend fd09::/64 dev w0 proto 4
        route replace fd09::/64 dev w0 mtu 1400
        route change fd0a::/64 dev w0
        route bare fd0b::/64 dev w0
        delroute fd09::/64 dev v0
        delroute fd09::/64
        delroute fd09::/64
        delroute fd09::/64 metric 1024
        delroute fd09::/64
        delroute fd09::/64 table 99
        route add fd0c::/64 nh fd00::2,-,0 nh fd01::2,-,3
        route append fd0c::/64 nh fd00::3,-,0 nh fd01::3,-,0
        route replace fd0c::/64 nh fd00::4,-,0 nh fd01::4,-,0
        route replace fd0c::/64 nh fd00::4,-,0 nh fd00::4,-,0
        route append fd0c::/64 nh fd00::5,-,0 nh fd01::4,-,0
        route add fd0d::/64 nh fd00::5,-,0 nh -,v0,0
        route add fd0d::/64 nh fd00::5,-,0 nh fd77::4,-,0
        delroute fd0c::/64 nh fd00::4,-,0
        route append fd0c::/64 via fd01::9
        route append fd0c::/64 via fd01::8
        delroute fd0c::/64
        route add fd0e::/64 type 7
        route add fd0e::/64 type 6
        route prepend fd0e::/64 type 6
        route add fd0f::/64 via fd77::1
        route add fd0f::/64 via fd00::2 dev w0
        route add fd0f::/64 via fd00::1
        route add fd0f::/64 via fd00::1 dev v0
        route add fd0f::/64 via fe80::7
        route add fd0f::/64 via fe80::7 dev v0
        route add fd10::/64 via fd77::1 dev v0 onlink
        route add fd11::/64 dev v0 src fd00::1 pref 1
        route add fd12::/64 dev v0 src fd55::1
        route add fd13::/64 dev v0 expires 500
        route append fd13::/64 dev v0 expires 900
        route add fd14::5/64 via fd00::2 table 1000 hoplimit 7
        route add ::/0 via fd00::2
        route add fd15::/64 via fd44::2
        route add fd15::/64 dev #66
        deladdr v0 fd00::1/64
        addr v0 fd00::1/64
        route append fd0c::/64 nh fd00::3,-,0 nh fd01::3,-,0
        route append fd16::/64 nh fd00::3,-,0 nh fd00::5,-,0
        set v0 mtu 1390
        route add fd17::/64 dev v0 mtu 1390
        set v0 mtu 1300
        set v0 mtu 1500
        set v0 -up
        set v0 up
        set v1 -up
        set v1 up
        set w0 mtu 1200
        set w0 mtu 1500
        del v0
    ";
    ipv6_addresses_and_their_routes: "
        add v0 veth mac 02:00:00:00:00:01 peer v1/02:00:00:00:00:02
        addr v0 fd00::1/64
        set v1 up
        set v0 up
        addr v0 fd00::2/64
        deladdr v0 fd00::1/64
        addr v0 fd00::3/64 flags 512
        deladdr v0 fd00::2/64
        addr v0 fd01::1/128
        addr v0 fd02::1/64 metric 77
        addr v0 fd02::1/64 metric 88 replace
        addr v0 fd02::1/64 life 500/1000 replace
        addr v0 fd03::1/64 life 500/1000
        deladdr v0 fd03::1/64
        route add fd05::/64 dev v0 src fd00::3
        deladdr v0 fd00::3/64
        addr v0 fd06::1/64 peer fd06::2
        deladdr v0 fd06::1/64
        set v0 -up
        set v0 up
        set lo up
        set lo -up
        set lo up
        addr lo fd09::1/64
        addr lo 10.9.0.1/24
        set lo -up
        set lo up
        set v0 mtu 1200
        set v0 mtu 1500
        del v0
    ";
    rules: "
        add v0 veth mac 02:00:00:00:00:01 peer v1/02:00:00:00:00:02
        rule add 4 pref 100 from 10.0.0.0/8 table 100
        rule add 4 pref 100 from 10.0.0.0/8 table 100
        rule add 4 pref 100 table 100
        rule dup 4 pref 100 from 10.0.0.0/8 table 100 echo
        rule add 4 pref 100 from 10.0.0.0/16 table 100
        rule add 4 pref 100 from 10.0.0.0/8 to 10.9.0.0/16 table 100
        rule add 4 pref 100 from 10.0.0.0/8 table 101 proto 9
        rule add 4 pref 50 tos 16 table 1000
        rule add 4 pref 50 tos 1 table 100
        rule add 4 pref 50 tos 32 table 100
        rule add 4 from 10.1.0.0/16 table 102
        rule add 4 from 10.2.0.0/16 table 102
        rule add 4 pref 0 from 10.3.0.0/16 table 102
        rule add 4 from 10.3.0.0/16 table 102
        rule add 4 pref 200 mark 5 table 100
        rule add 4 pref 200 mark 5 mask 255 table 100
        rule add 4 pref 200 mark 5 mask 255 table 100
        rule add 4 pref 201 mark 0 mask 15 table 100
        rule add 4 pref 202 not ipproto 6 sport 10-20 dport 30-30 table 100
        rule add 4 pref 202 sport 0-20 table 100
        rule add 4 pref 203 tun 77 table 100
        rule add 4 pref 204 l3mdev 1
        rule add 4 pref 204 l3mdev 1 table 9
        rule add 4 pref 205 bits 0 group 7 table 100
        rule add 4 pref 206 flow 65537 table 100
        rule add 4 pref 206 table 100
        rule add 4 pref 207 action 6
        rule add 4 pref 207 action 7
        rule add 4 pref 207 action 8
        rule add 4 pref 207 action 3
        rule add 4 pref 208 uid 5-10 table 100
        rule add 4 pref 208 uid 10-5 table 100
        rule add 4 pref 209 goto 300
        rule add 4 pref 209 goto 209
        rule add 4 pref 209 action 2
        rule add 4 pref 300 table 100
        rule dup 4 pref 300 table 100
        delrule 4 pref 300
        delrule 4 pref 300
        rule add 4 pref 301 iif v0 oif w9 table 100
        rule add 4 pref 302 iif w0 table 100
        set v0 name w0
        add w9 ifb mac 02:00:00:00:00:03
        altadd w9 v0
        rule add 4 pref 303 iif v0 table 100
        set w9 name w8
        del w0
        rule add 4 pref 304 from 10.0.0.0/33 table 9
        rule add 4 pref 304 from fd00::/16 table 9
        delrule 4 from 10.0.0.0/8
        delrule 4 pref 100 table 101
        delrule 4 pref 100 proto 4
        delrule 4 pref 555
        delrule 4 mark 5 mask 255 echo
        delrule 4 pref 200
        delrule 4 pref 32767
        rule add 4 pref 32767 table 253
        rule add 4 pref 400
        rule add 4 pref 401
        rule add 6 pref 100 from fd00::/16 table 100
        rule add 6 pref 100 from fd00::/16 table 100
        rule add 6 pref 100 table 100
        rule add 6 pref 100 to fd01::/64 table 1000
        rule dup 6 pref 100 to fd01::/64 table 1000
        rule add 6 table 70
        rule add 6 pref 101
        rule add 6 pref 102 tos 64 table 9
        delrule 6 pref 100
        delrule 6 pref 100
        delrule 6 to fd01::/64
        delrule 6 table 255
        delrule 6
        delrule 6
    ";
    rules_that_gateways_ask: "
        add v0 veth mac 02:00:00:00:00:01 peer v1/02:00:00:00:00:02
        set v1 up
        set v0 up
        addr v0 10.0.0.1/24
        addr v0 fd00::1/64
        route add 10.5.0.0/16 dev v0 table 100
        route add fd05::/64 dev v0 table 100
        route add 10.9.0.0/16 via 10.5.0.1
        route add fd09::/64 via fd05::1
        rule add 4 pref 10 table 100
        rule add 6 pref 10 table 100
        route add 10.9.0.0/16 via 10.5.0.1
        route add fd09::/64 via fd05::1
        rule add 4 pref 5 to 10.5.0.0/16 action 7
        rule add 6 pref 5 to fd05::/64 action 7
        route add 10.10.0.0/16 via 10.5.0.1
        route add fd0a::/64 via fd05::1
        route add 10.10.0.0/16 via 10.0.0.2
        route add fd0a::/64 via fd00::2
        rule add 4 pref 3 goto 10
        rule add 6 pref 3 goto 10
        route add 10.11.0.0/16 via 10.5.0.1
        route add fd0b::/64 via fd05::1
        delrule 4 pref 10
        rule add 4 pref 10 table 100 bits 16
        route add 10.12.0.0/16 via 10.5.0.1
        route add 10.13.0.0/16 via 10.0.0.2
        delrule 4 pref 3
        delrule 4 pref 5
        delrule 4 table 254
        route add 10.14.0.0/16 via 10.0.0.2 table 77
        route add 10.14.0.0/16 via 10.0.0.2
    ";
    neighbours: "
        add v0 veth mac 02:00:00:00:00:01 peer v1/02:00:00:00:00:02
        add i0 ifb mac 02:00:00:00:00:03
        addr v0 10.0.0.1/24 brd 10.0.0.255
        neigh add v0 10.0.0.9 lladdr 02:00:00:00:01:09 state 128
        delneigh v0 10.0.0.9
        set v1 up
        set v0 up
        addr v0 fd00::1/64
        neigh add v0 10.0.0.2 lladdr 02:00:00:00:01:02 state 128
        neigh add v0 10.0.0.2 lladdr 02:00:00:00:01:03 state 128
        neigh create v0 10.0.0.2 lladdr 02:00:00:00:01:03 state 128
        neigh create v0 10.0.0.2 lladdr 02:00:00:00:01:02 state 2
        neigh change v0 10.0.0.2 lladdr 02:00:00:00:01:03 state 128
        neigh change v0 10.0.0.2 lladdr 02:00:00:00:01:03 state 128
        neigh change v0 10.0.0.2 state 128 router
        neigh change v0 10.0.0.2 state 128 learned proto 7
        neigh change v0 10.0.0.2 state 128
        neigh change v0 10.0.0.3 lladdr 02:00:00:00:01:03 state 128
        neigh add v0 10.0.0.3 state 128
        neigh replace v0 10.0.0.3 lladdr 02:00:00:00:01:03 state 2
        neigh add v0 10.0.0.4 lladdr 02:00:00:00:01:04 state 4 learned
        neigh add v0 10.0.0.5 lladdr 02:00:00:00:01:05 state 64
        neigh add v0 10.0.0.1 lladdr 02:00:00:00:01:06 state 128
        neigh add v0 10.0.0.255 lladdr 02:00:00:00:01:06 state 128
        neigh add v0 fd00::2 lladdr 02:00:00:00:01:07 state 128 router proto 3 echo
        neigh add v0 fd00::3 lladdr 02:00:00:00:01:08 state 2
        neigh add v0 10.0.0.6 short 0203 state 128
        neigh add #66 10.0.0.6 lladdr 02:00:00:00:01:06 state 128
        neigh add none 10.0.0.6 lladdr 02:00:00:00:01:06 state 128
        neigh add i0 10.0.0.6 lladdr 02:00:00:00:01:06 state 128
        neigh add i0 10.0.0.7 lladdr 02:00:00:00:01:06 state 2
        neigh replace i0 10.0.0.7 lladdr 02:00:00:00:01:07 state 128
        getneigh v0 10.0.0.2
        getneigh v0 10.0.0.77
        getneigh none 10.0.0.2
        getneigh #66 10.0.0.2
        delneigh v0 10.0.0.2
        delneigh v0 10.0.0.2
        delneigh v0 fd00::2
        delneigh none 10.0.0.2
        delneigh #66 10.0.0.2
        neigh add v0 10.0.0.20 proxy
        neigh add v0 10.0.0.20 proxy proto 9
        neigh add v0 10.0.0.21 proxy state 128
        neigh add v0 fd00::23 proxy
        neigh add v0 fd00::24 proxy state 128
        getneigh v0 10.0.0.20 proxy
        getneigh v0 10.0.0.29 proxy
        delneigh v0 10.0.0.29 proxy
        set v0 mtu 1000
    ";
    neighbours_that_go_with_their_link: "
        add v0 veth mac 02:00:00:00:00:01 peer v1/02:00:00:00:00:02
        set v1 up
        set v0 up
        addr v0 10.0.0.1/24
        addr v0 fd00::1/64
        neigh add v0 10.0.0.2 lladdr 02:00:00:00:01:02 state 128
        neigh add v0 10.0.0.3 lladdr 02:00:00:00:01:03 state 2
        neigh add v0 fd00::2 lladdr 02:00:00:00:01:02 state 128
        neigh add v0 fd00::3 lladdr 02:00:00:00:01:03 state 2
        neigh add v0 10.0.0.20 proxy
        neigh add v0 10.0.0.21 proxy state 128
        neigh add v0 fd00::20 proxy
        neigh add v0 fd00::21 proxy state 128
        set v1 -up
        set v1 up
        neigh replace v0 10.0.0.3 lladdr 02:00:00:00:01:03 state 2
        neigh add v0 10.0.0.20 proxy
        deladdr v0 10.0.0.1/24
        deladdr v0 fd00::1/64
        neigh replace v0 10.0.0.3 lladdr 02:00:00:00:01:03 state 2
        neigh replace v0 10.0.0.2 lladdr 02:00:00:00:01:02 state 128
        neigh add v0 10.0.0.20 proxy
        set v0 mac 02:00:00:00:00:09
        neigh replace v0 10.0.0.2 lladdr 02:00:00:00:01:02 state 128
        neigh replace v0 fd00::2 lladdr 02:00:00:00:01:02 state 128
        set v0 noarp
        set v0 -noarp
        neigh replace v0 10.0.0.2 lladdr 02:00:00:00:01:02 state 128
        neigh replace v0 10.0.0.3 lladdr 02:00:00:00:01:03 state 128
        neigh replace v0 fd00::2 lladdr 02:00:00:00:01:02 state 128
        neigh replace v0 fd00::3 lladdr 02:00:00:00:01:03 state 128
        set v0 -up
        neigh replace v0 10.0.0.2 lladdr 02:00:00:00:01:02 state 128
        neigh replace v0 fd00::2 lladdr 02:00:00:00:01:02 state 128
        neigh add v0 10.0.0.20 proxy
        set v0 up
        set v0 mtu 1000
        neigh replace v0 fd00::2 lladdr 02:00:00:00:01:02 state 128
        set v0 mtu 1500
        neigh replace v0 fd00::2 lladdr 02:00:00:00:01:02 state 128
        del v0
    ";
    nexthops: "
        add v0 veth mac 02:00:00:00:00:01 peer v1/02:00:00:00:00:02
        add w0 veth mac 02:00:00:00:00:03 peer w1/02:00:00:00:00:04
        nexthop add 1 4 dev v0
        nexthop add 1 4 blackhole
        set lo up
        set v1 up
        nexthop add 1 4 dev v1
        set v0 up
        set w1 up
        set w0 up
        addr v0 10.0.0.1/24
        addr v0 fd00::1/64
        addr w0 10.1.0.1/24
        nexthop add 1 4 via 10.0.0.2 dev v0
        nexthop add 1 4 via 10.0.0.2 dev v0
        nexthop add 2 4 via 10.1.0.2 dev w0 proto 9 echo
        nexthop add 3 4 via 10.77.0.2 dev w0
        nexthop add 3 4 via 10.77.0.2 dev w0 onlink
        nexthop add 4 4 dev w0
        nexthop add 4 4 dev w0 onlink
        nexthop add 5 4 blackhole
        nexthop add 6 6 via fd00::2 dev v0
        nexthop add 7 6 dev v0
        nexthop add 8 6 blackhole
        nexthop add 9 6 via fd77::2 dev v0
        nexthop add 9 4 dev #66
        nexthop add 9 4 via 10.0.0.2
        nexthop add 0 4 via 10.0.0.9 dev v0
        nexthop replace 0 4 via 10.0.0.9 dev v0
        nexthop change 99 4 dev v0
        nexthop add 20 0 group 1,1/2,3
        nexthop add 21 0 group 1,1/1,2
        nexthop add 21 0 group 20,1
        nexthop add 21 0 group 1,1/77,1
        nexthop add 21 0 group 1,1/5,1
        nexthop add 21 4 group 1,1
        nexthop add 21 0 group 5,1
        nexthop add 22 0 group 6,1/7,1
        nexthop add 23 0
        getnexthop 20
        getnexthop 77
        route add 10.9.0.0/16 nhid 1
        route add 10.9.0.0/16 nhid 1
        route append 10.9.0.0/16 nhid 2
        route add 10.10.0.0/16 nhid 20
        route add 10.11.0.0/16 nhid 5
        route add 10.12.0.0/16 nhid 77
        route add 10.12.0.0/16 nhid 1 dev v0
        route add fd09::/64 nhid 6
        route add fd09::/64 nhid 6
        route append fd09::/64 nhid 7
        route append fd09::/64 via fd00::9
        route add fd0a::/64 nhid 22
        route add fd0b::/64 nhid 8
        route add fd0c::/64 nhid 1
        nexthop replace 1 4 via 10.0.0.3 dev v0
        nexthop change 6 6 via fd00::3 dev v0 echo
        nexthop replace 1 0 group 2,1
        nexthop replace 20 4 dev v0
        nexthop replace 1 4 blackhole
        nexthop replace 20 0 group 2,7/1,1/3,1
        delroute 10.9.0.0/16 nhid 2
        delroute 10.9.0.0/16 via 10.0.0.3
        delroute 10.9.0.0/16
        delroute fd09::/64 nhid 7
        delroute fd09::/64 dev v0
        route replace 10.10.0.0/16 via 10.0.0.9
        route add 10.13.0.0/16 nhid 20
        route add 10.14.0.0/16 nhid 1 src 10.0.0.1
        delnexthop 1
        delnexthop 1
        delnexthop 2 echo
        delnexthop 3
        delnexthop 22
        delnexthop 8
        delnexthop 5
    ";
    nexthops_that_go_with_their_link: "
        add v0 veth mac 02:00:00:00:00:01 peer v1/02:00:00:00:00:02
        add w0 veth mac 02:00:00:00:00:03 peer w1/02:00:00:00:00:04
        set lo up
        set v1 up
        set v0 up
        set w1 up
        set w0 up
        addr v0 10.0.0.1/24
        addr v0 fd00::1/64
        addr w0 10.1.0.1/24
        nexthop add 1 4 via 10.0.0.2 dev v0
        nexthop add 2 4 via 10.1.0.2 dev w0
        nexthop add 3 6 via fd00::2 dev v0
        nexthop add 4 4 blackhole
        nexthop add 20 0 group 1,1/2,1
        nexthop add 21 0 group 1,1
        route add 10.9.0.0/16 nhid 1
        route add 10.10.0.0/16 nhid 20
        route add 10.11.0.0/16 nhid 21
        route add 10.12.0.0/16 nhid 4
        route add fd09::/64 nhid 3
        deladdr v0 10.0.0.1/24
        set v1 -up
        set v1 up
        nexthop add 1 4 dev v0
        nexthop replace 20 0 group 1,1/2,1
        nexthop add 3 6 dev v0
        route add 10.9.0.0/16 nhid 1
        route add fd09::/64 nhid 3
        set v0 -up
        set v0 up
        nexthop add 1 4 dev v0
        nexthop replace 20 0 group 1,1/2,1
        route add 10.9.0.0/16 nhid 1
        set v0 mtu 60
        set w0 mtu 1200
        del v0
        set lo -up
    ";
}
