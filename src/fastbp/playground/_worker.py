"""The thread that trains for one page.

Requests of the page go in: new settings, start, pause, one epoch, one step. Messages for the page come out through ``publish``. The
requests are stored as a small fixed number of values, not in a queue, so that a page cannot fill the memory. A frame is computed
only if the page can receive it. This module does not know how messages are sent.
"""

import logging
import threading
import time
from itertools import count
from typing import Any

from ._session import Session
from ._settings import InputProblem
from ._uploads import UploadError
from ._views import data_message, frame_message, problem_message

THREAD_NAME = "fastbp-playground"
_FRAME_SECONDS = 1 / 15  # the shortest time between two frames
_DIAGNOSIS_SECONDS = 0.5  # the shortest time between two diagnoses during training
_MAX_PENDING = 100  # single steps and epochs that wait
_numbers = count(1)


class Worker:
    """A thread that trains one session after another until ``close`` is called.

    ``publish(kind, message)`` sends a message; a later message of the same kind may replace it. ``is_ready()`` returns whether the
    page can receive a frame. Both are called in the thread. If ``is_ready`` has changed, ``wake`` must be called.
    """

    def __init__(self, publish, is_ready):
        self._publish, self._is_ready = publish, is_ready
        self._changed = threading.Condition()
        self._is_closed = self._is_running = self._is_starting = self._is_outdated = False
        self._is_held = False  # whether the training up to the position of the last settings is paused
        self._request, self._pending = None, _nothing_pending()
        self._session: Any = None
        self._replay: Any = None
        self._table = self._target = None
        self._last_frame = self._next_epoch = 0.0
        self._diagnosis, self._next_diagnosis = None, 0.0
        self.thread = threading.Thread(target=self._run, name=f"{THREAD_NAME}-{next(_numbers)}", daemon=True)
        self.thread.start()

    # ------------------------------------------------------------------ requests, which other threads call

    def configure(self, settings, table=None, *, problems=(), epoch=0, step=0, restart=False):
        """Use new settings. If they change the numbers, with ``restart``, or with a position, train again from the start to it.

        ``table`` is a new file, or None to use the last file that could be trained on.
        """
        request = settings, table, tuple(problems), (epoch, step), restart
        self._set(_request=request, _pending=_nothing_pending(), _is_held=self._is_held and not (epoch or step))

    def start(self):
        """Show the state, and train until all epochs are complete, or until ``pause``.

        If the training up to the position of the last settings is paused, continue it, and stop at this position.
        """
        if self._replay is not None and self._is_held:
            self._set(_is_held=False, _is_outdated=True)
            return
        self._set(_is_running=True, _is_starting=True, _is_outdated=True, _last_frame=0.0, _pending=_nothing_pending())

    def pause(self):
        """Stop training after the current epoch, with dropout after the current step."""
        self._set(_is_running=False, _is_held=True, _pending=_nothing_pending(), _is_outdated=True)

    def advance(self, unit):
        """Pause, and train for one more "epoch" or "step"; the position of the last settings is no longer the target."""
        with self._changed:
            pending = self._pending | {unit: min(self._pending[unit] + 1, _MAX_PENDING)}
        self._set(_is_running=False, _pending=pending)

    def close(self):
        """End the thread after the current epoch, with dropout after the current step."""
        self._set(_is_closed=True)

    def wake(self):
        """Look again whether the page can receive a frame."""
        self._set()

    def _set(self, **values):
        with self._changed:
            vars(self).update(values)
            self._changed.notify()

    # ------------------------------------------------------------------ the thread

    def _run(self):
        try:
            while self._wait():
                self._work()
                self._show()
        except Exception as error:
            logging.getLogger("fastbp.playground").exception("The training of a page has failed.")
            text = f"Training has ended because of an unexpected error: {error}. Reload the page; the terminal shows details."
            self._publish("problem", problem_message([InputProblem("server", text)]))

    def _wait(self):
        """Wait until there is something to do; return False if the thread must end."""
        with self._changed:
            while not self._is_closed and (seconds := self._seconds_to_wait()) != 0:
                self._changed.wait(seconds)
            return not self._is_closed

    def _seconds_to_wait(self):
        """The time until something must be done, None if only a request can change that."""
        if self._request is not None:
            return 0
        now, times = time.monotonic(), []
        if self._session is not None:
            if self._is_replaying() or any(self._pending.values()):
                return 0
            if self._is_running:
                times.append(self._next_epoch)
            if self._is_outdated and self._is_ready():
                times.append(self._last_frame + _FRAME_SECONDS)
        return max(0, min(times) - now) if times else None

    def _work(self):
        """Apply a request, or train for at most one epoch."""
        with self._changed:
            request, self._request = self._request, None
        if request is not None:
            self._apply(*request)
        elif self._is_replaying():
            self._is_outdated = True
            if next(self._replay, "done") == "done":
                self._end_replay()
        elif self._session is not None and self._is_starting:
            self._is_starting = False  # a frame is shown before the first epoch, which can be slow
        elif self._session is not None and (unit := self._next_unit()):
            self._train(unit)

    def _train(self, unit):
        if unit == "step":
            self._session.train_step()
        else:
            is_running = self._is_running
            self._session.train_epoch(lambda: self._must_stop(is_running))
        self._is_outdated = True
        if self._session.is_finished:
            self.pause()

    def _must_stop(self, is_running=False):
        """Whether an epoch must end early: the page is closed or has new settings, or a training that was running is paused."""
        return self._is_closed or self._request is not None or (is_running and not self._is_running)

    def _is_replaying(self):
        """Whether to train up to the position of the last settings; a request for a step or an epoch ends this."""
        return self._replay is not None and not self._is_held and not any(self._pending.values())

    def _must_stop_replay(self):
        return self._must_stop() or not self._is_replaying()

    def _end_replay(self):
        self._replay = self._target = None

    def _next_unit(self):
        """Return "epoch" or "step", and count it, or None if nothing must be trained now."""
        with self._changed:
            for unit, n_pending in self._pending.items():
                if n_pending:
                    self._end_replay()
                    self._pending[unit] -= 1
                    return unit
            now = time.monotonic()
            if not self._is_running or now < self._next_epoch:
                return None
            speed = self._session.settings.speed
            self._next_epoch = max(self._next_epoch, now - _FRAME_SECONDS) + 1 / speed if speed else now
            return "epoch"

    def _apply(self, settings, table, problems, position, restart):
        session, used = self._session, table or self._table
        file = used.file if used and settings.data == "csv" else None
        is_same = session is not None and table is None and settings.of_training == session.settings.of_training
        if is_same and not restart and not any(position):
            session.change_limits(settings)
            self._next_epoch = time.monotonic()
            self._publish("data", data_message(session, problems, file))
        else:
            try:
                session = Session(settings, used)
            except UploadError as error:
                self._publish("problem", problem_message([*problems, InputProblem("csv", str(error))], file))
                return
            self._session, self._next_diagnosis = session, 0.0
            if settings.data == "csv":
                self._table = used
            self._end_replay()
            epoch, step = position
            if epoch or step:
                self._target, self._replay = position, session.advance_to(epoch, step, self._must_stop_replay)
            self._publish("data", data_message(session, problems, file))
        self._is_outdated, self._last_frame = True, 0.0

    def _show(self):
        """Publish a frame if the session has changed and the page can receive it."""
        now = time.monotonic()
        if self._session is None or not self._is_outdated or now - self._last_frame < _FRAME_SECONDS or not self._is_ready():
            return
        self._is_outdated, self._last_frame = False, now
        state = self._state()
        self._diagnose(state)
        self._publish("frame", frame_message(self._session, state, self._diagnosis, self._target))

    def _diagnose(self, state):
        """Diagnose the network again, unless this would take too large a part of the time of the training."""
        start = time.monotonic()
        if state in ("running", "replaying") and start < self._next_diagnosis:
            return
        self._diagnosis = self._session.diagnosis()
        # the advice of a network without training is not shown, so that the first step needs a new diagnosis
        is_lasting = self._session.n_steps > 0
        self._next_diagnosis = is_lasting * (time.monotonic() + max(_DIAGNOSIS_SECONDS, 5 * (time.monotonic() - start)))

    def _state(self):
        if self._session.failure is not None:
            return "diverged"
        if self._replay is not None:
            return "replaying" if self._is_replaying() else "paused"
        if self._session.is_finished:
            return "finished"
        return "running" if self._is_running else "paused"


def _nothing_pending():
    return {"epoch": 0, "step": 0}
