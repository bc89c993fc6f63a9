//! Switching under load, and waiting for a target that is down.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::JoinSet;

use super::*;
use crate::redirect::proxy::{DrainPolicy, ProxyError};

const CLIENTS: usize = 64;

/// Asks until told to stop, by a new connection each time. Returns (answers by `a`, by `b`).
async fn ask_anew(world: Arc<World>, stop: Arc<AtomicBool>) -> (u32, u32) {
    let mut seen = (0, 0);
    while !stop.load(Ordering::Relaxed) {
        match world.connect().await.ask("hello").await.unwrap().as_str() {
            "a hello" => seen.0 += 1,
            "b hello" => seen.1 += 1,
            other => panic!("a request failed: `{other}`"),
        }
    }
    seen
}

/// Asks until told to stop, by one connection as long as it lives; an orderly close before the answer
/// makes it connect anew, as HTTP clients do.
async fn ask_kept(world: Arc<World>, stop: Arc<AtomicBool>, think: Duration) -> (u32, u32) {
    let mut seen = (0, 0);
    let mut client = world.connect().await;
    while !stop.load(Ordering::Relaxed) {
        let answer = match client.ask("hello").await {
            Ok(answer) if !answer.is_empty() => answer,
            Ok(_) => {
                client = world.connect().await;
                client.ask("hello").await.unwrap()
            }
            Err(error) => panic!("a kept connection was not closed in an orderly way: {error}"),
        };
        match answer.as_str() {
            "a hello" => seen.0 += 1,
            "b hello" => seen.1 += 1,
            other => panic!("a request failed: `{other}`"),
        }
        if !think.is_zero() {
            sleep(think).await;
        }
    }
    seen
}

async fn join(mut clients: JoinSet<(u32, u32)>) -> (u32, u32) {
    let mut all = (0, 0);
    while let Some(seen) = clients.join_next().await {
        let seen = seen.unwrap();
        all = (all.0 + seen.0, all.1 + seen.1);
    }
    all
}

#[tokio::test]
async fn sixty_four_clients_with_new_connections_lose_no_request_in_ten_switches() {
    soon(async {
        let (a, b) = (Server::start("a").await, Server::start("b").await);
        let world = Arc::new(World::start(a.target()));
        let stop = Arc::new(AtomicBool::new(false));
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            clients.spawn(ask_anew(Arc::clone(&world), Arc::clone(&stop)));
        }
        for turn in 1..=10 {
            let before = world.stats().accepted;
            world
                .until("more requests", |now| now.accepted > before + 200)
                .await;
            let to = if turn % 2 == 1 {
                b.target()
            } else {
                a.target()
            };
            world.point(to, turn);
        }
        stop.store(true, Ordering::Relaxed);
        let (by_a, by_b) = join(clients).await;
        assert!(by_a > 0 && by_b > 0, "both served: {by_a}, {by_b}");
        let stats = world.stats();
        assert_eq!((stats.failed_connects, stats.unserved), (0, 0));
    })
    .await;
}

#[tokio::test]
async fn kept_connections_stay_on_a_live_old_target_and_lose_no_request() {
    soon(async {
        let (a, b) = (Server::start("a").await, Server::start("b").await);
        let world = Arc::new(World::start(a.target()));
        let stop = Arc::new(AtomicBool::new(false));
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            clients.spawn(ask_kept(
                Arc::clone(&world),
                Arc::clone(&stop),
                Duration::ZERO,
            ));
        }
        world
            .until("all connected and asking", |now| {
                now.bytes_to_client > 20_000
            })
            .await;
        world.point(b.target(), 1);
        let before = world.stats().bytes_to_client;
        world
            .until("more requests", |now| now.bytes_to_client > before + 20_000)
            .await;
        assert_eq!(world.stats().open.get(&a.target()), Some(&(CLIENTS as u64)));
        stop.store(true, Ordering::Relaxed);
        assert_eq!(
            join(clients).await.1,
            0,
            "no kept connection changed its target"
        );
    })
    .await;
}

#[tokio::test]
async fn kept_connections_with_pauses_move_to_the_new_target_and_lose_no_request() {
    soon(async {
        let (a, b) = (Server::start("a").await, Server::start("b").await);
        let world = Arc::new(World::start(a.target()));
        let stop = Arc::new(AtomicBool::new(false));
        let mut clients = JoinSet::new();
        for number in 0..CLIENTS as u64 {
            // All kinds of pauses, so that questions and closes cross.
            let think = Duration::from_millis(20 + number % 16);
            clients.spawn(ask_kept(Arc::clone(&world), Arc::clone(&stop), think));
        }
        world
            .until("all asking", |now| now.bytes_to_client > 2000)
            .await;
        world.point(b.target(), 1);
        let policy = DrainPolicy::DrainIdle {
            idle: Duration::from_millis(15),
            grace: STUCK,
        };
        let report = world
            .proxy
            .drain(&world.web, policy, token(1))
            .await
            .unwrap();
        assert_eq!(
            (report.closed_idle, report.total()),
            (CLIENTS as u64, CLIENTS as u64)
        );
        a.stop().await;
        world
            .until("all back", |now| {
                now.open.get(&b.target()) == Some(&(CLIENTS as u64))
            })
            .await;
        stop.store(true, Ordering::Relaxed);
        assert!(join(clients).await.1 > 0);
    })
    .await;
}

#[tokio::test]
async fn once_point_has_returned_every_new_connection_meets_the_new_target() {
    soon(async {
        let (a, b) = (Server::start("a").await, Server::start("b").await);
        let world = World::start(a.target());
        for turn in 0..50 {
            let (to, tag) = if turn % 2 == 0 {
                (&b, "b x")
            } else {
                (&a, "a x")
            };
            // This one is on its way while the route is switched: either answer is right.
            let mut early = world.connect().await;
            world.point(to.target(), turn);
            assert_eq!(world.connect().await.ask("x").await.unwrap(), tag);
            assert!(early.ask("x").await.unwrap().ends_with('x'));
        }
    })
    .await;
}

#[tokio::test]
async fn clients_wait_for_a_target_that_is_down_and_are_served_when_it_comes_up() {
    soon(async {
        let address = vacant().await;
        let world = Arc::new(World::start(address));
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            let world = Arc::clone(&world);
            clients.spawn(async move { world.connect().await.ask("early").await.unwrap() });
        }
        world
            .until("all held", |now| now.held == CLIENTS as u64)
            .await;
        assert!(matches!(
            world.proxy.verify(&world.web).await,
            Err(ProxyError::Unreachable { .. })
        ));
        let _server = Server::start_at("a", address).await;
        while let Some(answer) = clients.join_next().await {
            assert_eq!(answer.unwrap(), "a early");
        }
        assert_eq!(
            world.proxy.verify(&world.web).await.unwrap(),
            address.into()
        );
        let stats = world.stats();
        assert_eq!(
            (stats.held, stats.held_total, stats.unserved),
            (0, CLIENTS as u64, 0)
        );
        assert!(stats.failed_connects >= CLIENTS as u64);
    })
    .await;
}

#[tokio::test]
async fn clients_held_at_a_dead_target_follow_the_route_when_it_is_pointed_elsewhere() {
    soon(async {
        let b = Server::start("b").await;
        let world = World::start(vacant().await);
        let mut client = world.connect().await;
        world.until("it held", |now| now.held == 1).await;
        world.point(b.target(), 1);
        assert_eq!(client.ask("x").await.unwrap(), "b x");
    })
    .await;
}

#[tokio::test]
async fn a_client_is_reset_when_the_hold_time_is_over() {
    soon(async {
        let mut config = RouteConfig::new("web", ANY_PORT, vacant().await);
        config.limits.hold = Duration::from_millis(20);
        let world = World::start_with(config);
        let mut client = world.connect().await;
        assert_eq!(
            client.rest().await.unwrap_err().kind(),
            io::ErrorKind::ConnectionReset
        );
        assert_eq!(world.stats().unserved, 1);
    })
    .await;
}

#[tokio::test]
async fn a_whole_failover_under_load_loses_no_request() {
    soon(async {
        let (a, b) = (Server::start("a").await, Server::start("b").await);
        let world = Arc::new(World::start(a.target()));
        let stop = Arc::new(AtomicBool::new(false));
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            clients.spawn(ask_anew(Arc::clone(&world), Arc::clone(&stop)));
        }
        world.until("load", |now| now.accepted > 300).await;
        // Single-writer order: fence first, then point. Clients wait in between.
        world
            .proxy
            .refuse(&world.web, a.target(), token(1))
            .unwrap();
        world.until("somebody held", |now| now.held > 0).await;
        world.point(b.target(), 1);
        let policy = DrainPolicy::Drain { grace: STUCK };
        let report = world
            .proxy
            .drain(&world.web, policy, token(1))
            .await
            .unwrap();
        assert_eq!((report.cut, report.broken), (0, 0));
        a.stop().await;
        let before = world.stats().accepted;
        world
            .until("more requests", |now| now.accepted > before + 300)
            .await;
        stop.store(true, Ordering::Relaxed);
        assert!(join(clients).await.1 > 0);
        assert_eq!(world.stats().unserved, 0);
    })
    .await;
}
