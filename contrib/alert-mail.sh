#!/bin/sh
# Sends an alert of Evenkeel by mail: [alerts] command = ["/usr/local/lib/evenkeel/alert-mail.sh", "oncall@example.org"]
#
# Gets one line of JSON on standard input: {"at": ..., "severity": ..., "resource": ..., "sentence": ...}.
# Needs jq and a `mail` command. What it prints is thrown away; a failure is logged by the daemon.
set -eu

to=${1:?"usage: alert-mail.sh ADDRESS"}
alert=$(cat)
field() { printf '%s' "$alert" | jq -r "$1 // \"\""; }

resource=$(field .resource)
subject="[evenkeel] $(field .severity): ${resource:-the daemon}"
{
  field .sentence
  echo
  echo "seen at $(field .at) on $(uname -n)"
  echo "look:   evenkeel status ${resource}"
  echo "why:    evenkeel events ${resource} -n 20, then evenkeel explain EVENT"
} | mail -s "$subject" "$to"
