//! Fencing tokens, refused targets, and what the proxy says when it is asked for nonsense.

use super::*;
use crate::redirect::proxy::{DrainPolicy, ProxyError};

#[tokio::test]
async fn a_late_actor_is_refused_by_every_acting_call_and_told_both_tokens() {
    let (a, b) = (Server::start("a").await, Server::start("b").await);
    let mut config = RouteConfig::new("web", ANY_PORT, a.target());
    config.token = token(7);
    let world = World::start_with(config);
    let (proxy, web, late) = (&world.proxy, &world.web, token(6));
    let errors = [
        proxy.point(web, b.target(), late).unwrap_err(),
        proxy.refuse(web, a.target(), late).unwrap_err(),
        proxy.allow(web, a.target(), late).unwrap_err(),
        proxy.drain(web, DrainPolicy::Move, late).await.unwrap_err(),
    ];
    for error in errors {
        let text = error.to_string();
        assert!(
            text.contains("`web`") && text.contains("t6") && text.contains("t7"),
            "{text}"
        );
    }
    assert_eq!(proxy.current(web).unwrap(), a.target());
    assert_eq!(proxy.token(web).unwrap(), token(7));
    world.point(b.target(), 7);
    world.point(b.target(), 8);
    assert_eq!(proxy.token(web).unwrap(), token(8));
}

#[tokio::test]
async fn a_refused_target_gets_no_connection_until_it_is_allowed() {
    soon(async {
        let (a, b) = (Server::start("a").await, Server::start("b").await);
        let world = World::start(a.target());
        let (proxy, web) = (&world.proxy, &world.web);
        let mut old = world.connect().await;
        assert_eq!(old.ask("1").await.unwrap(), "a 1");
        proxy.refuse(web, a.target(), token(2)).unwrap();
        assert_eq!(old.ask("2").await.unwrap(), "a 2", "open connections stay");
        let mut held = world.connect().await;
        world.until("it held", |now| now.held == 1).await;
        assert!(matches!(
            proxy.verify(web).await,
            Err(ProxyError::Refused { .. })
        ));
        world.point(b.target(), 2);
        assert_eq!(held.ask("3").await.unwrap(), "b 3");
        let error = proxy
            .point(web, a.target(), token(3))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("t2") && error.contains(&a.address.to_string()),
            "{error}"
        );
        assert!(matches!(
            proxy.plan(web, a.target()),
            Err(ProxyError::Refused { .. })
        ));
        proxy.allow(web, a.target(), token(3)).unwrap();
        world.point(a.target(), 3);
        assert_eq!(world.connect().await.ask("4").await.unwrap(), "a 4");
    })
    .await;
}

#[tokio::test]
async fn allowing_the_current_target_again_serves_those_who_wait() {
    soon(async {
        let a = Server::start("a").await;
        let world = World::start(a.target());
        world
            .proxy
            .refuse(&world.web, a.target(), token(1))
            .unwrap();
        let mut client = world.connect().await;
        world.until("it held", |now| now.held == 1).await;
        world.proxy.allow(&world.web, a.target(), token(1)).unwrap();
        assert_eq!(client.ask("x").await.unwrap(), "a x");
    })
    .await;
}

#[tokio::test]
async fn plan_says_what_point_would_do_and_does_nothing() {
    soon(async {
        let (a, b) = (Server::start("a").await, Server::start("b").await);
        let world = World::start(a.target());
        let mut client = world.connect().await;
        client.ask("x").await.unwrap();
        let plan = world.proxy.plan(&world.web, b.target()).unwrap();
        assert_eq!(
            (plan.from, plan.to, plan.staying),
            (a.target(), b.target(), 1)
        );
        assert!(plan.to_string().contains("1 open connections stay"));
        assert_eq!(world.proxy.current(&world.web).unwrap(), a.target());
    })
    .await;
}

#[tokio::test]
async fn mistakes_are_named_with_route_and_address() {
    let busy = TcpListener::bind(ANY_PORT).await.unwrap();
    let address = busy.local_addr().unwrap();
    let elsewhere = vacant().await;
    let check = |routes: &[RouteConfig], parts: &[&str]| {
        let error = Proxy::bind(routes).unwrap_err().to_string();
        for part in parts {
            assert!(error.contains(part), "`{part}` is missing in: {error}");
        }
    };
    let route = |name: &str, listen| RouteConfig::new(name, listen, elsewhere);
    check(&[], &["no route"]);
    check(
        &[route("web", address)],
        &[
            "`web`",
            &address.to_string(),
            "in use by another process",
            "choose another",
        ],
    );
    check(
        &[route("web", ANY_PORT), route("web", ANY_PORT)],
        &["`web`", "twice"],
    );
    let free = vacant().await;
    check(
        &[route("x", free), route("y", free)],
        &["`y`", "in use by route `x`"],
    );
    let mut none = route("web", ANY_PORT);
    none.limits.connections_max = 0;
    check(&[none], &["connections_max"]);
    check(
        &[RouteConfig::new("web", free, free)],
        &["where route `web` of this proxy listens"],
    );

    let world = World::start(elsewhere);
    let error = world
        .proxy
        .current(&RouteName::from("wob"))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("`wob`") && error.contains("`web`"),
        "{error}"
    );
    let itself = world.proxy.point(&world.web, world.listen.into(), token(1));
    assert!(matches!(itself, Err(ProxyError::Loop { .. })));
}
