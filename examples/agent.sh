#!/bin/sh
# An agent made of redis-cli: it prints a token, then answers each frame that a client sends.
set -eu
cli() { redis-cli -u "$REDIS_URL" "$@"; }

token=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
cli SET session:s1:auth "$token" EX 60 > /dev/null
echo "$token"
# redis-cli prints three lines for each message: its kind, the channel and the payload.
cli SUBSCRIBE session:s1:up | while read -r kind && read -r channel && read -r payload; do
  [ "$kind" = message ] || continue
  cli PUBLISH session:s1:down "{\"type\":\"echo\",\"frame\":$payload}" > /dev/null
done
