//! Many connections, and too many.

use super::*;

#[tokio::test]
async fn at_the_limit_clients_wait_in_the_backlog_and_none_is_reset() {
    soon(async {
        let a = Server::start("a").await;
        let mut config = RouteConfig::new("web", ANY_PORT, a.target());
        config.limits.connections_max = 2;
        let world = World::start_with(config);
        let mut first = world.connect().await;
        let mut second = world.connect().await;
        first.ask("1").await.unwrap();
        second.ask("2").await.unwrap();
        // Connected as far as it can tell, and its question is on the way.
        let mut third = world.connect().await;
        third.say("3").await.unwrap();
        world
            .until("the limit counted", |now| now.limit_reached == 1)
            .await;
        let stats = world.stats();
        assert_eq!((stats.accepted, stats.open[&a.target()]), (2, 2));
        drop(first);
        let mut answer = String::new();
        third.0.read_line(&mut answer).await.unwrap();
        assert_eq!(answer, "a 3\n");
        assert_eq!(second.ask("2").await.unwrap(), "a 2");
        assert_eq!(world.stats().accepted, 3);
    })
    .await;
}

#[tokio::test]
async fn two_thousand_idle_connections_fit() {
    const CONNECTIONS: usize = 2000;
    // Client, proxy (two) and instance live in this one process.
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    if files.is_some_and(|files| files < 4 * CONNECTIONS as u64 + 500) {
        assert!(
            std::env::var_os("EVENKEEL_REQUIRE_ALL").is_none_or(|all| all != "1"),
            "the limit of open files is {files:?}; raise it (ulimit -n 10000)"
        );
        println!("skipped: the limit of open files is {files:?}, 8500 are needed");
        return;
    }
    soon(async {
        let a = Server::start("a").await;
        let world = World::start(a.target());
        let mut clients = Vec::with_capacity(CONNECTIONS);
        for _ in 0..CONNECTIONS {
            clients.push(world.connect().await);
        }
        world
            .until("all open", |now| now.open.get(&a.target()) == Some(&2000))
            .await;
        for client in clients.iter_mut().rev().step_by(100) {
            assert_eq!(client.ask("x").await.unwrap(), "a x");
        }
        drop(clients);
        world.until("all closed", |now| now.open.is_empty()).await;
    })
    .await;
}
