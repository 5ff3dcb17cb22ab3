use super::accepted;

fn warnings(text: &str) -> Vec<String> {
    accepted(text).warnings().iter().map(ToString::to_string).collect()
}

#[test]
fn what_can_work_but_is_hardly_meant_is_a_warning() {
    let rule = "\n[[rule]]\nname = \"api\"\nlimit = \"5/min\"\n";
    for (text, expected) in [
        (
            "[[rule]]\nname = \"api\"\nlimit = [\"10/s\", \"1000000/day\"]\n".to_owned(),
            "limits.toml:3:18: warning: rule.api.limit: 1000000 per day hardly ever decide, because 10 \
             per second come to 864000 in that time",
        ),
        (
            "[[rule]]\nname = \"api\"\nlimit = [\"5/min\", { limit = 9, window = \"60s\" }]\n"
                .to_owned(),
            "limits.toml:3:19: warning: rule.api.limit: 9 per minute hardly ever decide, because 5 per \
             minute come to 5 in that time",
        ),
        (
            "[[rule]]\nname = \"api\"\nlimit = [\"600/min\", \"10/s\"]\n".to_owned(),
            "limits.toml:3:10: warning: rule.api.limit: 600 per minute hardly ever decide, because 10 \
             per second come to 600 in that time",
        ),
        (
            format!("[store]\nurl = \"redis://db\"\n{rule}"),
            "limits.toml:2:7: warning: store.nodes: the store can be shared, but nothing says by \
             how many processes; while it is away, each allows as much as all of them together \
             should",
        ),
        (
            format!("[identity]\nipv6_prefix = 128\n{rule}"),
            "limits.toml:2:15: warning: identity.ipv6_prefix: one subscriber owns at least 64 bits \
             of IPv6, so anybody can be many clients; expected at most 64",
        ),
        (
            format!("[identity]\nipv4_prefix = 0\n{rule}"),
            "limits.toml:2:15: warning: identity.ipv4_prefix: all clients of this family share one \
             bucket",
        ),
        (
            format!("{rule}cost = 0\n"),
            "limits.toml:5:8: warning: rule.api.cost: a request that costs nothing is never turned \
             away",
        ),
        (
            format!("{rule}mode = \"shadow\"\n[rule.penalty]\nafter = 5\nwithin = \"1m\"\n"),
            "limits.toml:6:1: warning: rule.api.penalty: a rule in shadow mode turns nobody away, so \
             it bans nobody",
        ),
        (
            format!("{rule}key = \"global\"\n[rule.penalty]\nafter = 5\nwithin = \"1m\"\n"),
            "limits.toml:6:1: warning: rule.api.penalty: this rule counts everybody together, so a \
             ban is one of everybody",
        ),
        (
            format!("{rule}key = \"global\"\nenforce_percent = 10\n"),
            "limits.toml:6:19: warning: rule.api.enforce_percent: this rule counts everybody \
             together, which is one identity, so it decides for all or for nobody",
        ),
        (
            format!("[[exempt]]\nuser_agents = \"monitor\"\n{rule}"),
            "limits.toml:2:15: warning: exempt[0].user_agents: whoever writes this into its \
             `User-Agent` is not limited at all",
        ),
        (
            format!("[[exempt]]\nnetworks = \"::/0\"\n{rule}"),
            "limits.toml:2:12: warning: exempt[0].networks: this network contains every address of \
             its family",
        ),
        (
            format!(
                "[identity]\ndefault_tier = \"free\"\n{rule}[tiers.free]\napi = {{ limit = 5, window \
                 = \"1m\", algorithm = \"fixed_window\" }}\n"
            ),
            "limits.toml:8:7: warning: tiers.free.api: the limit `api` has another algorithm, window or \
             name in this tier, so whoever changes to it starts anew",
        ),
        (
            "[identity]\ndefault_tier = \"free\"\n[[rule]]\nname = \"api\"\n\
             limit = [\"5/s\", \"100/h\"]\n[tiers.free]\napi = [\"5/min\", \"100/day\"]\n"
                .to_owned(),
            "limits.toml:7:7: warning: tiers.free.api: the limit `api:1h` has another algorithm, window \
             or name in this tier, so whoever changes to it starts anew",
        ),
    ] {
        assert_eq!(warnings(&text), [expected], "{text}");
    }
}

#[test]
fn what_is_meant_gives_no_warning() {
    for rest in [
        "limit = [\"10/s\", \"5000/day\", \"100/min\"]\n",
        // The longer one is looser, but holds less at once.
        "limit = [{ limit = 10, window = \"1s\", burst = 1000 }, \"700/min\"]\n",
        // A token bucket keeps its share whatever its window, and a tier may have one limit more.
        "limit = \"5/min\"\n[identity]\ndefault_tier = \"free\"\n[tiers.free]\n\
         api = [\"300/h\", \"1000/day\"]\n",
    ] {
        assert_eq!(warnings(&format!("[[rule]]\nname = \"api\"\n{rest}")), [""; 0], "{rest}");
    }
}
