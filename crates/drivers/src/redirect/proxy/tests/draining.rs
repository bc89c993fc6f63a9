//! What becomes of connections to an old target.

use super::*;
use crate::redirect::proxy::{DrainPolicy, DrainReport, ProxyError};

const SHORT: Duration = Duration::from_millis(20);

/// A world that has been switched from `a` to `b` with one idle and one busy connection left on `a`.
async fn switched() -> (World, Server, Client, Client) {
    let (a, b) = (Server::start("a").await, Server::start("b").await);
    let world = World::start(a.target());
    let (mut idle, mut busy) = (world.connect().await, world.connect().await);
    assert_eq!(idle.ask("1").await.unwrap(), "a 1");
    assert_eq!(busy.ask("1").await.unwrap(), "a 1");
    busy.say("wait").await.unwrap();
    world
        .until("the question under way", |now| now.bytes_to_target == 9)
        .await;
    world.point(b.target(), 1);
    (world, a, idle, busy)
}

async fn drain(world: &World, policy: DrainPolicy) -> DrainReport {
    world
        .proxy
        .drain(&world.web, policy, token(1))
        .await
        .unwrap()
}

#[tokio::test]
async fn drain_leaves_connections_to_finish_and_cuts_the_rest_at_the_end_of_the_grace() {
    soon(async {
        let (world, a, mut finishing, mut busy) = switched().await;
        assert_eq!(finishing.ask("2").await.unwrap(), "a 2");
        drop(finishing);
        world
            .until("one gone", |now| now.open[&a.target()] == 1)
            .await;
        let report = drain(&world, DrainPolicy::Drain { grace: SHORT }).await;
        assert_eq!(
            report,
            DrainReport {
                cut: 1,
                ..DrainReport::default()
            }
        );
        assert_eq!(
            busy.rest().await.unwrap_err().kind(),
            io::ErrorKind::ConnectionReset
        );
        assert!(
            world.stats().open.is_empty(),
            "the report agrees with the books"
        );
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_finishes_within_the_grace_is_reported_as_finished() {
    soon(async {
        let (world, _a, finishing, busy) = switched().await;
        let policy = DrainPolicy::Drain { grace: STUCK };
        let (report, ()) = tokio::join!(drain(&world, policy), async { drop((finishing, busy)) });
        assert_eq!(
            report,
            DrainReport {
                finished: 2,
                ..DrainReport::default()
            }
        );
    })
    .await;
}

#[tokio::test]
async fn drain_idle_closes_idle_connections_in_an_orderly_way_and_cuts_busy_ones() {
    soon(async {
        let (world, _a, mut idle, mut busy) = switched().await;
        let policy = DrainPolicy::DrainIdle {
            idle: SHORT,
            grace: 10 * SHORT,
        };
        let report = drain(&world, policy).await;
        assert_eq!(
            report,
            DrainReport {
                closed_idle: 1,
                cut: 1,
                ..DrainReport::default()
            }
        );
        assert_eq!(idle.rest().await.unwrap(), "", "an end, not a reset");
        assert_eq!(
            busy.rest().await.unwrap_err().kind(),
            io::ErrorKind::ConnectionReset
        );
        assert_eq!(world.connect().await.ask("2").await.unwrap(), "b 2");
    })
    .await;
}

#[tokio::test]
async fn a_question_that_crosses_the_close_meets_an_end_and_not_a_reset() {
    soon(async {
        let (world, _a, mut idle, busy) = switched().await;
        drop(busy);
        drain(
            &world,
            DrainPolicy::DrainIdle {
                idle: SHORT,
                grace: STUCK,
            },
        )
        .await;
        // The client has not looked yet, and asks.
        assert_eq!(
            idle.ask("late").await.unwrap(),
            "",
            "an orderly end before any answer"
        );
    })
    .await;
}

#[tokio::test]
async fn a_busy_connection_is_closed_as_soon_as_it_falls_idle() {
    soon(async {
        let listener = TcpListener::bind(ANY_PORT).await.unwrap();
        let b = Server::start("b").await;
        let world = World::start(listener.local_addr().unwrap());
        let mut client = world.connect().await;
        let (mut instance, _) = listener.accept().await.unwrap();
        client.say("question").await.unwrap();
        instance.read_exact(&mut [0; 9]).await.unwrap();
        world.point(b.target(), 1);
        let policy = DrainPolicy::DrainIdle {
            idle: SHORT,
            grace: STUCK,
        };
        let answer = async {
            // The order is in force while the question is open.
            sleep(4 * SHORT).await;
            instance.write_all(b"answer\n").await.unwrap();
        };
        let (report, ()) = tokio::join!(drain(&world, policy), answer);
        assert_eq!(
            report,
            DrainReport {
                closed_idle: 1,
                ..DrainReport::default()
            }
        );
        assert_eq!(client.rest().await.unwrap(), "answer\n");
    })
    .await;
}

#[tokio::test]
async fn move_closes_idle_connections_and_cuts_busy_ones_at_once() {
    soon(async {
        let (world, _a, mut idle, mut busy) = switched().await;
        let report = drain(&world, DrainPolicy::Move).await;
        assert_eq!(
            report,
            DrainReport {
                closed_idle: 1,
                cut: 1,
                ..DrainReport::default()
            }
        );
        assert_eq!(idle.rest().await.unwrap(), "");
        assert_eq!(
            busy.rest().await.unwrap_err().kind(),
            io::ErrorKind::ConnectionReset
        );
    })
    .await;
}

#[tokio::test]
async fn a_later_drain_overrides_an_earlier_one_and_the_abandoned_one_still_drains() {
    soon(async {
        let (world, _a, _idle, _busy) = switched().await;
        let patient = drain(&world, DrainPolicy::Drain { grace: STUCK });
        let hasty = async {
            // Lets the first order reach its connections.
            tokio::task::yield_now().await;
            drop(
                world
                    .proxy
                    .drain(&world.web, DrainPolicy::Move, token(1))
                    .await,
            );
        };
        let (report, ()) = tokio::join!(patient, hasty);
        assert_eq!(
            report,
            DrainReport {
                superseded: 2,
                ..DrainReport::default()
            }
        );

        let (world, _a, _idle, _busy) = switched().await;
        let policy = DrainPolicy::Drain { grace: SHORT };
        // Polled once, so that the order is given, then dropped.
        assert!(
            timeout(Duration::ZERO, drain(&world, policy))
                .await
                .is_err()
        );
        world.until("both gone", |now| now.open.is_empty()).await;
    })
    .await;
}

#[tokio::test]
async fn connections_to_the_current_target_are_not_drained() {
    soon(async {
        let a = Server::start("a").await;
        let world = World::start(a.target());
        let mut client = world.connect().await;
        client.ask("1").await.unwrap();
        assert_eq!(
            drain(&world, DrainPolicy::Move).await,
            DrainReport::default()
        );
        assert_eq!(client.ask("2").await.unwrap(), "a 2");
    })
    .await;
}

#[tokio::test]
async fn shutdown_stops_listening_resets_the_held_and_ends_the_open() {
    soon(async {
        let a = Server::start("a").await;
        let configs = [
            RouteConfig::new("web", ANY_PORT, a.target()),
            RouteConfig::new("down", ANY_PORT, vacant().await),
        ];
        let (proxy, task) = Proxy::bind(&configs).unwrap();
        let web = RouteName::from("web");
        let listen = proxy.listen_address(&web).unwrap();
        let world = World { proxy, web, listen };
        let down = world.proxy.listen_address(&"down".into()).unwrap();
        let mut open = world.connect().await;
        open.ask("1").await.unwrap();
        let mut held = Client(BufReader::new(TcpStream::connect(down).await.unwrap()));
        while world.proxy.stats().routes[1].held == 0 {
            sleep(Duration::from_millis(2)).await;
        }
        let report = world.proxy.shutdown(STUCK).await;
        assert_eq!(
            report,
            DrainReport {
                closed_idle: 1,
                ..DrainReport::default()
            }
        );
        assert_eq!(open.rest().await.unwrap(), "");
        assert_eq!(
            held.rest().await.unwrap_err().kind(),
            io::ErrorKind::ConnectionReset
        );
        task.stopped().await;
        assert!(TcpStream::connect(listen).await.is_err());
        let late = world.proxy.point(&world.web, a.target(), token(9));
        assert!(matches!(late, Err(ProxyError::Stopped { .. })));
    })
    .await;
}
