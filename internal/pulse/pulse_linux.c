//go:build cgo

#define _GNU_SOURCE
#include "pulse.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <time.h>

// Threads that sleep have little on their stacks.
enum { STACK = 64 << 10 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; // guards what follows, but what is atomic may be read without
static pthread_cond_t asked = PTHREAD_COND_INITIALIZER;
static int started; // all threads run
static struct timespec between; // two beats; it stays once threads run
static _Atomic int64_t until; // the clock's time at which they sleep

static int64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void *run(void *core) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET((int)(intptr_t)core, &one);
  sched_setaffinity(0, sizeof one, &one); // fails for a core that was taken from the process since, which needs no beats
  prctl(PR_SET_TIMERSLACK, 1); // in nanoseconds, the least there is
  // Without the right to it the thread stays in the normal class, where the beat is felt too, if a little later at times.
  struct sched_param least = {.sched_priority = sched_get_priority_min(SCHED_FIFO)};
  sched_setscheduler(0, SCHED_FIFO, &least);
  prctl(PR_SET_NAME, "tandem-pulse");
  for (;;) {
    if (now() < atomic_load(&until)) {
      nanosleep(&between, NULL);
      continue;
    }
    pthread_mutex_lock(&lock);
    while (now() >= atomic_load(&until)) pthread_cond_wait(&asked, &lock);
    pthread_mutex_unlock(&lock);
  }
  return NULL;
}

// start starts the threads, which take no signals: they are none of Go's. Those of a start that failed stay, and the next goes on from there.
static int start(int64_t period) {
  static int next; // core
  between = (struct timespec){.tv_sec = period / 1000000000, .tv_nsec = period % 1000000000};
  cpu_set_t cores;
  if (sched_getaffinity(0, sizeof cores, &cores) != 0) return errno;
  pthread_attr_t attr;
  int err = pthread_attr_init(&attr);
  if (err != 0) return err;
  pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attr, STACK);
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  for (; next < CPU_SETSIZE; next++) {
    pthread_t thread;
    if (!CPU_ISSET(next, &cores)) continue;
    err = pthread_create(&thread, &attr, run, (void *)(intptr_t)next);
    if (err != 0) break;
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attr);
  return err;
}

int tdm_beat(int64_t d, int64_t period) {
  int64_t end = now() + d;
  pthread_mutex_lock(&lock);
  int err = 0;
  if (!started) {
    err = start(period);
    started = err == 0;
  }
  if (atomic_load(&until) < end) {
    atomic_store(&until, end);
    pthread_cond_broadcast(&asked);
  }
  pthread_mutex_unlock(&lock);
  return err;
}
