#!/bin/sh
# An agent made of redis-cli that keeps a log: it sends each frame of a client back, with a number.
set -eu
cli() { redis-cli -u "$REDIS_URL" "$@"; }
say() { cli FCALL wsproxy_say 2 '{session:s1:down}:log' '{session:s1:down}:meta' "$1" 3600; }

token=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
cli SET session:s1:auth "$token" EX 60 > /dev/null
echo "$token"
# redis-cli prints three lines for each message: its kind, the channel and the payload.
cli SUBSCRIBE session:s1:up | while read -r kind && read -r channel && read -r payload; do
  [ "$kind" = message ] || continue
  say "{\"type\":\"echo\",\"frame\":$payload}" > /dev/null
done
