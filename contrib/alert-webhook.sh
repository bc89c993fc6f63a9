#!/bin/sh
# Posts an alert of Evenkeel to a URL as it is, one JSON object:
#   [alerts] command = ["/usr/local/lib/evenkeel/alert-webhook.sh", "https://alerts.example.org/hook"]
#
# Needs curl. For a header with a token, put it into a file that only root reads and give that file as the
# second argument: curl reads it (a line `Authorization: Bearer ...`), so it shows up in no process list.
set -eu

url=${1:?"usage: alert-webhook.sh URL [HEADER-FILE]"}
if [ $# -gt 1 ]; then
  set -- -H "@$2"
else
  set --
fi
exec curl --silent --show-error --fail --max-time 8 -H 'Content-Type: application/json' "$@" --data-binary @- "$url"
