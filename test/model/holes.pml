/*
 * Hole filling (src/sessions/holes.ts): the gateway passes numbered messages to a level socket. The
 * channel loses messages, the log is trimmed, pages are answered late, and a forger publishes a
 * number that the log never gave. Each number goes out once and in order, or in a gap that is true.
 */
#define N 4 /* messages of the agent */
#define PAGE 2
#define HELD 2 /* messages that wait while the log is read; the rest is read from there */
#define TRIMS 3
#define WILD 9

byte newest = 0; /* of the log */
byte oldest = 1;
bool done = false; /* the agent is */
chan channel = [3] of { byte };
chan ask = [1] of { byte };
chan page = [1] of { byte, byte, bool, byte }; /* first, last, isLast, given */

proctype Agent() {
  byte n;
  do
  :: newest < N ->
    newest++;
    n = newest;
    if
    :: channel ! n
    :: skip /* the publication is lost */
    fi
  :: newest == N -> break
  od;
  done = true
}

proctype Forger() {
  if
  :: channel ! WILD
  :: skip
  fi
}

/* The newest entry is kept. */
proctype Trimmer() {
  byte trims = 0;
  do
  :: atomic { trims < TRIMS && oldest < newest -> oldest++; trims++ }
  :: break
  od
}

active proctype Redis() {
  byte after, first, last;
end:
  do
  :: atomic {
      ask ? after ->
      first = after + 1;
      if
      :: first < oldest -> first = oldest
      :: else
      fi;
      last = first + PAGE - 1;
      if
      :: last > newest -> last = newest
      :: else
      fi;
      page ! first, last, (last == newest), newest
    }
  od
}

byte pos = 0; /* of the socket, as its client knows it */
byte last = 0; /* as the gateway knows it */
bool isHeld = false, isReading = false;
byte reads = 0, beyond = 0, given = 0;
byte held[HELD], heldAt[HELD], count = 0;

inline next(n) {
  assert(n == pos + 1 && n <= newest);
  pos = n;
  last = n
}

inline gap(to) {
  assert(to > pos && to < oldest);
  pos = to;
  last = to
}

inline fill() {
  isHeld = true;
  if
  :: !isReading -> isReading = true; reads++; ask ! last
  :: else
  fi
}

inline hold(n) {
  if
  :: count < HELD -> held[count] = n; heldAt[count] = reads; count++
  :: else ->
    if
    :: n > beyond -> beyond = n
    :: else
    fi
  fi
}

inline shift() {
  held[0] = held[1];
  heldAt[0] = heldAt[1];
  held[1] = 0;
  heldAt[1] = 0;
  count--
}

/* Passes what waits; reads again where only another read can tell what a message is. */
inline release() {
  isHeld = false;
  isReading = false;
  behind = (beyond > last);
  again = false;
  do
  :: count == 0 || again -> break
  :: count > 0 && !again ->
    n = held[0];
    if
    :: n > last + 1 && heldAt[0] == reads -> again = true
    :: else ->
      if
      :: n <= last
      :: n == last + 1 -> next(n)
      :: n > last + 1 && n > given -> assert(n == WILD) /* goes out without a number */
      :: n > last + 1 && n <= given -> gap(n - 1); next(n)
      fi;
      shift()
    fi
  od;
  if
  :: again -> fill()
  :: !again && behind && beyond > last -> beyond = 0; fill()
  :: else
  fi
}

active proctype Gateway() {
  byte n, first, to, g;
  bool isLast, again, behind;
  run Agent();
  run Forger();
  run Trimmer();
  do
  :: atomic {
      channel ? n ->
      if
      :: isHeld -> hold(n)
      :: !isHeld && n <= last
      :: !isHeld && n == last + 1 -> next(n)
      :: !isHeld && n > last + 1 -> hold(n); fill()
      fi
    }
  :: atomic {
      page ? first, to, isLast, g ->
      given = g;
      do
      :: first <= to ->
        if
        :: first > last + 1 -> gap(first - 1)
        :: else
        fi;
        next(first);
        first++
      :: else -> break
      od;
      if
      :: isLast -> release()
      :: else -> reads++; ask ! last
      fi
    }
  /* The check of positions: the publication of the newest message may be lost. */
  :: atomic { !isHeld && newest != last && done && empty(channel) -> fill() }
  :: done && !isHeld && empty(channel) && newest == last -> break
  od;
  assert(pos == N)
}
