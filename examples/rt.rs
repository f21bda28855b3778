use netlinkdb::*; use std::process::Command;
fn ip(a:&str){ let s=Command::new("ip").args(a.split(' ')).output().unwrap(); if !s.status.success(){println!("ip {a}: {}",String::from_utf8_lossy(&s.stderr));} }
fn texts(s:&Snapshot)->Vec<String>{ let mut v:Vec<_>=s.routes().all().iter().map(|r|format!("{r:?}")).collect(); v.sort(); v }
fn main()->Result<(),Error>{
 NetNs::enter_private()?; let db=Db::open()?;
 let check=|what:&str|{ let s=db.sync().unwrap(); let f=Db::open().unwrap().snapshot(); let (a,b)=(texts(&s),texts(&f)); if a!=b { println!("DIFF after {what}: {} {}",a.len(),b.len()); for x in &a { if !b.contains(x){println!("  ours only  {x}");} } for x in &b { if !a.contains(x){println!("  fresh only {x}");} } } else {println!("ok {what} {}",a.len());} };
 check("empty");
 for c in ["link set lo up","link add va type veth peer name vb","link add vc type veth peer name vd","link set va up","link set vb up","link set vc up","link set vd up","addr add 10.0.0.1/24 dev va","addr add 10.1.0.1/24 dev vc","addr add fd00::1/64 dev va nodad","addr add fd01::1/64 dev vc nodad",
 "route add 10.5.0.0/16 via 10.0.0.2","route add 10.5.0.0/16 via 10.1.0.2 metric 10","route append 10.5.0.0/16 via 10.0.0.3","route prepend 10.5.0.0/16 via 10.0.0.4","route replace 10.5.0.0/16 via 10.0.0.5","route del 10.5.0.0/16 via 10.0.0.3",
 "route add 10.6.0.0/16 nexthop via 10.0.0.2 nexthop via 10.1.0.2 weight 5","route add blackhole 10.7.0.0/16","route add unreachable fd09::/32","route add default via 10.0.0.9 table 100","route add 10.9.0.0/16 via 10.0.0.2 mtu 1300 src 10.0.0.1",
 "-6 route add fd05::/64 via fd00::2","-6 route append fd05::/64 via fd01::2","-6 route append fd05::/64 via fd01::3 weight 3","-6 route del fd05::/64 via fd01::2","-6 route del fd05::/64 via fd00::2","-6 route replace fd05::/64 via fd00::7","-6 route add fd06::/64 nexthop via fd00::2 nexthop via fd01::2","-6 route add fd07::/64 dev va","-6 route add fd07::/64 dev vc","-6 route add fd07::/64 via fd00::2 metric 5 expires 300",
 "link set vd down","link set vd up","link set vc down","link set vc up","addr del 10.1.0.1/24 dev vc","addr add 10.1.0.1/24 dev vc","route add 10.6.0.0/16 nexthop via 10.0.0.2 nexthop via 10.1.0.2","addr del 10.0.0.1/24 dev va","addr add 10.0.0.1/24 dev va","route add 10.5.0.0/16 via 10.0.0.2","nexthop add id 5 via 10.0.0.2 dev va","route add 10.11.0.0/16 nhid 5","nexthop del id 5","link del va"] { ip(c); check(c); }
 let s=db.snapshot(); for r in s.routes().iter(){println!("{r:?}");} println!("{:?}",s.tables());
 Ok(()) }
