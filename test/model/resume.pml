/*
 * The resume handshake (src/sessions/logs.ts, catch-up.ts): a client comes with a cursor, the
 * channel is confirmed, then the log is read, then it gets pages until it is level, then the
 * channel. It loses its connection at any time and comes back with the cursor that it has; another
 * client keeps the topic, or not. Nothing is lost in silence, doubled or reordered.
 */
#define N 3 /* messages of the agent */
#define PAGE 2
#define HELD 3
#define TRIMS 1
#define DROPS 2
#define STALLS 1

byte newest = 0, oldest = 1; /* of the log */
bool done = false; /* the agent is */
bool subscribed = false;
chan channel = [N] of { byte };
/* Reads carry the life of the socket or of the topic: an answer to an earlier one is ignored. */
chan stateAsk = [DROPS] of { byte };
chan stateIs = [DROPS] of { byte, byte, byte }; /* life, newest, oldest */
chan pageAsk = [DROPS] of { byte, byte };
chan pageIs = [DROPS] of { byte, byte, byte, bool };
chan fillAsk = [DROPS] of { byte, byte };
chan fillIs = [DROPS] of { byte, byte, byte, bool };

proctype Agent() {
  do
  :: newest < N ->
    newest++;
    if
    :: subscribed -> channel ! newest
    :: true /* lost, or nothing listens */
    fi
  :: newest == N -> break
  od;
  done = true
}

proctype Trimmer() {
  byte trims = 0;
  do
  :: atomic { trims < TRIMS && oldest < newest -> oldest++; trims++ }
  :: break
  od
}

/* Of one step only, so no part of the state. */
hidden byte life, n, first, to, nw, low, after, i;
hidden byte isLast;

inline range() {
  first = after + 1;
  if
  :: first < oldest -> first = oldest
  :: else
  fi;
  to = first + PAGE - 1;
  if
  :: to > newest -> to = newest
  :: else
  fi
}

active proctype Redis() {
end:
  do
  :: atomic { stateAsk ? life -> stateIs ! life, newest, oldest }
  :: atomic { pageAsk ? life, after -> range(); pageIs ! life, first, to, (to == newest) }
  :: atomic { fillAsk ? life, after -> range(); fillIs ! life, first, to, (to == newest) }
  od
}

/* The topic. */
byte topic = 0; /* its life */
byte last = 0;
bool isKnown = false, isHeld = true, isReading = false;
byte held[HELD], count = 0;
/* The socket. `cursor` is what its client has. */
byte socket = 0; /* its life */
byte cursor = 0;
byte drops = 0, stalls = 0;
bool isOpen = false, isPositioned = false, isLevel = false, isPaging = false;
bool hasOther = false;

inline deliver(n) {
  assert(n == cursor + 1 && n <= newest);
  cursor = n
}

inline gap(to) {
  assert(to > cursor && to < oldest);
  cursor = to
}

inline fill() {
  isHeld = true;
  if
  :: !isReading -> isReading = true; fillAsk ! topic, last
  :: else
  fi
}

inline next(n) {
  last = n;
  if
  :: isOpen && isPositioned && isLevel && n > cursor ->
    if
    :: deliver(n)
    :: stalls < STALLS -> stalls++; isLevel = false /* no room */
    fi
  :: else
  fi
}

inline miss(to) {
  if
  :: isOpen && isPositioned && isLevel && cursor < to -> gap(to)
  :: else
  fi;
  last = to
}

inline readOn() {
  if
  :: !isPaging -> isPaging = true; pageAsk ! socket, cursor
  :: else
  fi
}

active proctype Gateway() {
  atomic {
    if
    :: hasOther = true; subscribed = true; topic++; isKnown = true; isHeld = false
    :: skip
    fi
  }
  run Agent();
  run Trimmer();
  do
  /* The client comes: its channel is confirmed before the log is read. */
  :: atomic {
      !isOpen && socket <= drops ->
      socket++;
      isOpen = true;
      isPositioned = false;
      isLevel = false;
      isPaging = false;
      if
      :: !subscribed ->
        subscribed = true;
        topic++;
        last = 0;
        isKnown = false;
        isHeld = true;
        isReading = false;
        count = 0
      :: else
      fi;
      stateAsk ! socket
    }
  :: atomic {
      isOpen && drops < DROPS - 1 ->
      drops++;
      isOpen = false;
      if
      :: !hasOther ->
        subscribed = false;
        do
        :: channel ? n
        :: empty(channel) -> break
        od
      :: else
      fi
    }
  :: atomic {
      stateIs ? life, nw, low ->
      if
      :: isOpen && life == socket ->
        if
        :: !isKnown ->
          isKnown = true;
          last = nw;
          if
          :: count > 0 -> fill()
          :: else -> isHeld = false
          fi
        :: else
        fi;
        isPositioned = true;
        assert(cursor <= nw);
        if
        :: cursor + 1 < low -> gap(low - 1)
        :: else
        fi;
        isLevel = (cursor >= last);
        if
        :: !isLevel -> readOn()
        :: else
        fi
      :: else
      fi
    }
  :: atomic {
      pageIs ? life, first, to, isLast ->
      if
      :: isOpen && life == socket ->
        isPaging = false;
        do
        :: first <= to ->
          if
          :: first > cursor + 1 -> gap(first - 1)
          :: else
          fi;
          if
          :: first > cursor -> deliver(first)
          :: else
          fi;
          first++
        :: else -> break
        od;
        if
        :: cursor >= last -> isLevel = true
        :: else -> readOn()
        fi
      :: else
      fi
    }
  :: atomic {
      isOpen && isPositioned && !isLevel && !isPaging -> readOn() /* there is room again */
    }
  :: atomic {
      channel ? n ->
      if
      :: isHeld -> held[count] = n; count++
      :: !isHeld && n <= last
      :: !isHeld && n == last + 1 -> next(n)
      :: !isHeld && n > last + 1 -> held[count] = n; count++; fill()
      fi
    }
  :: atomic {
      fillIs ? life, first, to, isLast ->
      if
      :: subscribed && life == topic ->
        do
        :: first <= to ->
          if
          :: first > last + 1 -> miss(first - 1)
          :: else
          fi;
          if
          :: first > last -> next(first)
          :: else
          fi;
          first++
        :: else -> break
        od;
        isReading = false;
        i = 0;
        if
        :: !isLast -> fill()
        :: else ->
          isHeld = false;
          do
          :: i < count && held[i] <= last -> held[i] = 0; i++
          :: i < count && held[i] == last + 1 -> next(held[i]); held[i] = 0; i++
          :: i < count && held[i] > last + 1 -> fill(); break /* read again */
          :: i >= count -> break
          od;
          for (i : 0 .. HELD - 1) { held[i] = 0 }
          count = 0
        fi
      :: else
      fi
    }
  /* The check of positions: the publication of the newest message may be lost. */
  :: atomic { subscribed && isKnown && !isHeld && done && empty(channel) && newest != last -> fill() }
  :: done && isOpen && isLevel && !isHeld && empty(channel) && newest == last && cursor == last -> break
  od;
  assert(cursor == N)
}
