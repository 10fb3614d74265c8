"""The playground in Chromium: training, controls, addresses, tabs, messages, keyboard, screen reader and narrow screens."""

import re
import time
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import pairwise
from threading import Thread
from urllib.parse import parse_qs, urlsplit

import pytest
from playground_server import running_server, wait_until, worker_threads
from playwright.sync_api import expect

XOR = "data=xor&noise=0&layers=6-tanh&learning_rate=0.03&epochs=150&speed=0"
SLOW = "data=moons&rows=60&epochs=10000&speed=20"
LONG = "data=spirals&layers=8-tanh,8-tanh&dropout=0.1&epochs=10000&epoch=9000&step=3"  # takes long to reach its epoch


def wait_for_state(page, *states):
    expect(page.locator("body")).to_have_attribute("data-state", re.compile("|".join(states)))


def epoch_of(page):
    return int(page.locator("#epoch").inner_text())


def wait_for_epoch(page, condition):
    wait_until_in(page, lambda: condition(epoch_of(page)))


def wait_until_in(page, condition):
    """Wait until a function of the page returns True, while Playwright handles the events of the page."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "the condition was not met in time"
        page.wait_for_timeout(20)


def settings_of(page):
    """The settings in the address."""
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).fragment, keep_blank_values=True).items()}


def position_of(page):
    """The epoch and the step in the address."""
    return tuple(settings_of(page).get(name) for name in ("epoch", "step"))


def measures_of(page):
    """The losses and scores in the table, as texts."""
    return page.locator("#measures tbody td").all_inner_texts()


def change(page, selector, value):
    page.fill(selector, value)
    page.press(selector, "Tab")


def pixel(page, x, y):
    """The color of the decision surface at a share of its width and its height."""
    return page.evaluate(
        """([x, y]) => {
          const canvas = document.getElementById("surface");
          return [...canvas.getContext("2d").getImageData(x * canvas.width, y * canvas.height, 1, 1).data].slice(0, 3);
        }""",
        [x, y],
    )


# ---------------------------------------------------------------------- training


def test_xor_is_trained_to_the_end(open_page):
    page = open_page(XOR)
    wait_for_state(page, "paused")
    expect(page.locator("#status")).to_have_text("Ready. Press Start.")
    page.click("text=Start")
    wait_for_state(page, "finished")
    expect(page.locator("#status")).to_contain_text("Finished after 150 epochs.")
    _, loss, train, _, _, test = measures_of(page)
    assert float(loss) < 0.1
    assert float(train) > 0.97
    assert float(test) > 0.95
    top_left, top_right, bottom_left, bottom_right = (pixel(page, x, y) for y in (0.2, 0.8) for x in (0.2, 0.8))
    assert top_left[0] > top_left[2]  # class 1 is orange
    assert bottom_right[0] > bottom_right[2]
    assert top_right[2] > top_right[0]  # class 0 is blue
    assert bottom_left[2] > bottom_left[0]
    assert page.locator("#loss .line").count() == page.locator("#gradients .line").count() == 2
    assert page.locator("#loss .line").first.get_attribute("d").count("L") == 150
    assert page.locator("#units canvas").count() == 6
    expect(page.locator("#advice")).not_to_be_empty()
    assert settings_of(page)["epoch"] == "150"
    for button in ("#run", "#one-epoch", "#one-step"):
        expect(page.locator(button)).to_be_disabled()
    change(page, "#epochs", "160")  # the training can continue
    expect(page.locator("#run")).to_be_enabled()


def test_pause_one_epoch_and_one_step(open_page):
    page = open_page(SLOW)
    wait_for_state(page, "paused")
    page.click("#run")
    wait_for_epoch(page, lambda epoch: epoch >= 2)
    expect(page.locator("#run")).to_have_text("Pause")
    page.click("#run")
    wait_for_state(page, "paused")
    expect(page.locator("#run")).to_have_text("Start")
    epoch = epoch_of(page)
    page.wait_for_timeout(300)
    assert epoch_of(page) == epoch
    page.click("text=One step")
    expect(page.locator("#step")).to_have_text("1 of 3")
    assert epoch_of(page) == epoch
    page.click("text=One epoch")
    expect(page.locator("#epoch")).to_have_text(str(epoch + 1))
    expect(page.locator("#step")).to_have_text("0 of 3")
    expect(page.locator("#status")).to_contain_text(f"Paused at epoch {epoch + 1}, step 0.")


def test_changed_parameter_restarts_the_training(open_page):
    page = open_page(SLOW)
    wait_for_state(page, "paused")
    page.click("#run")
    wait_for_epoch(page, lambda epoch: epoch >= 10)
    change(page, "#learning_rate", "0.02")
    wait_for_epoch(page, lambda epoch: epoch < 10)
    wait_until_in(page, lambda: settings_of(page)["learning_rate"] == "0.02")
    expect(page.locator("#run")).to_have_text("Pause")  # training continues with the new value
    page.click("#run")
    wait_for_state(page, "paused")
    page.select_option("#solver", "sgd")
    expect(page.locator("#status")).to_have_text("Ready. Press Start.")
    assert settings_of(page)["solver"] == "sgd"
    assert "solver='sgd'" in page.locator("#code").text_content()


def test_restart(open_page):
    page = open_page(f"{SLOW}&epoch=12")
    wait_for_epoch(page, lambda epoch: epoch == 12)
    page.click("text=Restart")
    expect(page.locator("#status")).to_have_text("Ready. Press Start.")
    assert epoch_of(page) == 0


def test_layers_are_added_and_removed(open_page):
    page = open_page(SLOW)
    wait_for_state(page, "paused")
    page.click("text=Add a hidden layer")
    expect(page.locator("#layers li")).to_have_count(3)
    expect(page.locator("#units .layer")).to_have_count(3)
    page.get_by_label("Hidden layer 3: activation").select_option("relu")
    expect(page.locator("#units h3").nth(2)).to_have_text("Hidden layer 3: relu")
    units = page.locator("#units .layer").nth(2).locator("li")
    assert units.all_inner_texts() == [f"unit {number}" for number in range(units.count())]  # as in the trace and in the displays
    for number in (3, 2, 1):
        page.get_by_role("button", name=f"Remove hidden layer {number}").click()
    expect(page.locator("#units")).to_have_text("The network has no hidden units.")
    wait_until_in(page, lambda: settings_of(page)["layers"] == "")
    page.click("text=One epoch")
    expect(page.locator("#layer-table tbody tr")).to_have_count(1)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # as in `serve`
def test_divergence_is_explained(open_page):
    page = open_page("data=regression&solver=sgd&learning_rate=100&layers=4-relu&speed=0")
    wait_for_state(page, "paused")
    page.click("#run")
    wait_for_state(page, "diverged")
    expect(page.locator("#failure")).to_contain_text("Select a smaller learning rate (now 100)")
    expect(page.locator("#status")).to_have_text("Training has diverged. See the advice.")
    expect(page.locator("#advice")).to_be_hidden()
    for button in ("#run", "#one-epoch", "#one-step"):
        expect(page.locator(button)).to_be_disabled()
    change(page, "#learning_rate", "0.01")
    expect(page.locator("#failure")).to_be_hidden()
    expect(page.locator("#advice")).to_be_visible()
    expect(page.locator("#run")).to_be_enabled()


def test_advice_of_the_diagnosis_is_shown(open_page):
    page = open_page("data=moons&solver=sgd&learning_rate=0.000001&epochs=50&speed=0")
    wait_for_state(page, "paused")
    expect(page.locator("#advice")).to_have_text("Advice appears after the first step.")
    page.click("#run")
    wait_for_state(page, "finished")
    expect(page.locator("#advice li")).not_to_have_count(0)
    expect(page.locator("#advice")).to_contain_text("Setting on this page: Learning rate")


# ---------------------------------------------------------------------- addresses and tabs


def test_reload_shows_the_same_epoch(open_page):
    page = open_page("data=spirals&noise=0.05&seed=7&layers=5-relu,3-tanh&solver=nadam&alpha=0.01&dropout=0.1&speed=100")
    wait_for_state(page, "paused")
    page.click("#run")
    wait_for_epoch(page, lambda epoch: epoch >= 5)
    page.click("#run")
    wait_for_state(page, "paused")
    step = int(page.locator("#step").inner_text().split()[0])  # with dropout, an epoch can be paused
    step = f"{(step + 1) % 11} of 11"
    page.click("text=One step")
    expect(page.locator("#step")).to_have_text(step)
    before, address = measures_of(page), page.url
    epoch = epoch_of(page)
    page.reload()
    wait_for_epoch(page, lambda now: now == epoch)
    expect(page.locator("#step")).to_have_text(step)
    wait_for_state(page, "paused")
    assert measures_of(page) == before
    assert page.url == address
    assert page.input_value("#solver") == "nadam"
    assert page.get_by_label("Hidden layer 1: activation").input_value() == "relu"


def test_reload_while_training_up_to_the_address(open_page):
    page = open_page(LONG)
    for _ in range(2):
        wait_for_epoch(page, lambda epoch: epoch >= 3)
        wait_until_in(page, lambda: "seed" in settings_of(page))  # the address was written
        page.wait_for_timeout(1200)
        wait_for_state(page, "replaying")
        assert position_of(page) == ("9000", "3")
        page.reload()
    short = open_page("data=spirals&layers=8-tanh,8-tanh&epochs=10000&epoch=100&step=3")
    wait_for_state(short, "replaying", "paused")
    short.reload()
    wait_for_epoch(short, lambda epoch: epoch == 100)
    expect(short.locator("#step")).to_have_text("3 of 11")
    wait_for_state(short, "paused")
    assert position_of(short) == ("100", "3")


def test_training_up_to_the_address_is_paused_and_continued(open_page):
    page = open_page(LONG)
    wait_for_epoch(page, lambda epoch: epoch >= 3)
    expect(page.locator("#run")).to_have_text("Pause")
    page.click("#run")
    wait_for_state(page, "paused")
    expect(page.locator("#run")).to_have_text("Start")
    expect(page.locator("#status")).to_contain_text("Press Start to continue to epoch 9000, step 3 of the address.")
    epoch = epoch_of(page)
    page.wait_for_timeout(300)
    assert epoch_of(page) == epoch
    assert position_of(page) == ("9000", "3")
    page.click("#run")
    wait_for_epoch(page, lambda now: now > epoch)
    wait_for_state(page, "replaying")
    page.click("text=One epoch")  # from now on, the address follows the training
    wait_for_state(page, "paused")
    expect(page.locator("#status")).to_contain_text(re.compile(r"Paused at epoch \d+, step 0\. Training loss"))
    wait_until_in(page, lambda: position_of(page) == (str(epoch_of(page)), "0"))


def test_number_of_changes_of_the_address_is_limited(open_page):
    """Browsers limit it; a held key would exceed their limit."""
    page = open_page(SLOW)
    wait_for_state(page, "paused")
    wait_until_in(page, lambda: "seed" in settings_of(page))
    page.evaluate(
        """() => {
          window.times = [];
          const write = history.replaceState.bind(history);
          history.replaceState = (...values) => { window.times.push(performance.now()); write(...values); };
        }"""
    )
    for _ in range(60):
        page.keyboard.press("t")
        page.wait_for_timeout(50)
    wait_until_in(page, lambda: (epoch_of(page), page.locator("#step").inner_text()) == (20, "0 of 3"))
    wait_until_in(page, lambda: position_of(page) == ("20", "0"))  # the last state is written
    times = page.evaluate("window.times")
    assert 5 <= len(times) <= 6 + (times[-1] - times[0]) / 1000
    page.click("#run")
    wait_until_in(page, lambda: page.evaluate("window.times.length") >= len(times) + 3)
    running = page.evaluate("window.times")[len(times) :]
    assert min(later - earlier for earlier, later in pairwise(running)) >= 990  # milliseconds
    page.click("#run")
    wait_for_state(page, "paused")
    assert position_of(page) == (str(epoch_of(page)), "0")  # at once


def test_copied_address_is_the_current_one(open_page):
    page = open_page(SLOW, permissions=["clipboard-read", "clipboard-write"])
    wait_for_state(page, "paused")
    for step in (1, 2):
        page.click("text=One step")
        expect(page.locator("#step")).to_have_text(f"{step} of 3")
    page.click("text=Copy the address")
    expect(page.locator("#copied")).to_have_text("Copied.")
    assert page.evaluate("navigator.clipboard.readText()").endswith("epoch=0&step=2")


def test_address_contains_all_settings(open_page):
    page = open_page()
    wait_for_state(page, "paused")
    wait_until_in(page, lambda: "seed" in settings_of(page))
    names = {*page.evaluate("[...document.querySelectorAll('#settings [name]')].map((control) => control.name)"), "layers"}
    assert set(settings_of(page)) == names | {"epoch", "step"}
    page.check("#scale")
    change(page, "#seed", "5")
    wait_until_in(page, lambda: (settings_of(page)["scale"], settings_of(page)["seed"]) == ("1", "5"))
    other = open_page(urlsplit(page.url).fragment)
    wait_for_state(other, "paused")
    assert measures_of(other) == measures_of(page)
    assert other.is_checked("#scale")


def test_changed_address_is_used(open_page):
    page = open_page(SLOW)
    wait_for_state(page, "paused")
    page.evaluate("location.hash = 'data=circles&epoch=4'")
    wait_for_epoch(page, lambda epoch: epoch == 4)
    assert page.input_value("#data") == "circles"
    page.evaluate("location.hash = 'data=circles&epoch=2'")  # another epoch of the same training
    wait_for_epoch(page, lambda epoch: epoch == 2)


def test_two_tabs_are_independent(open_page):
    one, two = open_page(SLOW), open_page("data=regression&epochs=10000&speed=20")
    for page in (one, two):
        wait_for_state(page, "paused")
    one.click("#run")
    wait_for_epoch(one, lambda epoch: epoch >= 3)
    assert epoch_of(two) == 0
    two.click("#run")
    wait_for_epoch(two, lambda epoch: epoch >= 3)
    one.click("#run")
    wait_for_state(one, "paused")
    epoch = epoch_of(two)
    wait_for_epoch(two, lambda now: now > epoch)
    expect(one.locator("#score-name")).to_have_text("accuracy")
    expect(two.locator("#score-name")).to_have_text("R²")


def test_closing_a_tab_ends_its_training(open_page):
    one, two = open_page(SLOW), open_page(SLOW)
    for page in (one, two):
        wait_for_state(page, "paused")
        page.click("#run")
        wait_for_epoch(page, lambda epoch: epoch >= 1)
    assert len(worker_threads()) == 2
    one.close()
    wait_until(lambda: len(worker_threads()) == 1)
    epoch = epoch_of(two)
    wait_for_epoch(two, lambda now: now > epoch)  # the other tab continues
    two.goto("about:blank")
    wait_until(lambda: not worker_threads())


def test_end_of_the_server_is_reported(open_page):
    with running_server() as port:
        page = open_page()
        page.goto(f"http://127.0.0.1:{port}/")
        wait_for_state(page, "paused")
    expect(page.locator("#status")).to_contain_text("The connection to the server has ended.")
    expect(page.locator("#run")).to_be_disabled()
    page.set_viewport_size({"width": 900, "height": 900})  # draws again
    page.wait_for_timeout(300)
    expect(page.locator("#run")).to_be_disabled()


def test_number_of_pages_is_limited(open_page, monkeypatch):
    monkeypatch.setattr("fastbp.playground._server._MAX_PAGES", 1)
    wait_for_state(open_page(SLOW), "paused")
    page = open_page(SLOW)
    expect(page.get_by_role("alert")).to_contain_text("At most 1 pages can be open.")
    expect(page.locator("#status")).to_have_text("The page is not connected to the server.")


# ---------------------------------------------------------------------- invalid input


def test_invalid_number_gets_a_message(open_page):
    page = open_page(f"{SLOW}&epoch=3")
    wait_for_epoch(page, lambda epoch: epoch == 3)
    change(page, "#learning_rate", "abc")
    problem = page.get_by_role("alert")
    expect(problem).to_have_text(
        "Learning rate must be a number greater than 0 and at most 100, got 'abc'. Enter, for example, 0.01."
        "The training continues with the previous settings."
    )
    assert page.get_attribute("#learning_rate", "aria-invalid") == "true"
    assert epoch_of(page) == 3  # the training is kept
    assert settings_of(page)["learning_rate"] == "0.01"
    change(page, "#learning_rate", "0.02")
    expect(problem).to_be_empty()
    assert page.get_attribute("#learning_rate", "aria-invalid") is None
    wait_for_epoch(page, lambda epoch: epoch == 0)


def test_text_that_is_being_entered_is_kept(open_page):
    page = open_page(SLOW)
    wait_for_state(page, "paused")
    page.fill("#learning_rate", "0.5")
    page.press("#learning_rate", "Tab")
    page.keyboard.type("1")
    wait_until_in(page, lambda: settings_of(page).get("learning_rate") == "0.5")
    page.wait_for_timeout(200)
    assert page.input_value("#batch_size") == "1"  # not replaced by 20


def test_invalid_address_gets_a_message(open_page):
    page = open_page("data=xor&rows=many&layers=3-sine&color=red&toString=1")
    wait_for_state(page, "paused")
    problem = page.get_by_role("alert")
    expect(problem).to_contain_text("Rows must be an integer from 20 to 2000, got 'many'. Enter, for example, 300.")
    expect(problem).to_contain_text("Activation of hidden layer 1 must be one of")
    expect(problem).to_contain_text("'color' is not a setting.")
    expect(problem).to_contain_text("'toString' is not a setting.")
    assert page.input_value("#rows") == "300"  # the defaults are used
    assert page.input_value("#data") == "xor"


def test_address_without_file_gets_a_message(open_page):
    page = open_page("data=csv&epoch=3")
    expect(page.get_by_role("alert")).to_contain_text("A CSV file must be chosen, got none.")
    expect(page.locator("#status")).to_have_text("There is no network yet. Correct the settings.")
    lines = "".join(f"{row % 7},{row % 5},{row % 2}\n" for row in range(70))
    page.set_input_files("#file", csv_file("two.csv", lines))
    wait_for_state(page, "paused")
    wait_for_epoch(page, lambda epoch: epoch == 3)  # the epoch of the address is used


def csv_file(name, text):
    return {"name": name, "mimeType": "text/csv", "buffer": text.encode()}


def test_own_file_is_used_and_survives_a_reload(open_page):
    page = open_page("epochs=20&speed=0")
    wait_for_state(page, "paused")
    page.select_option("#data", "csv")
    expect(page.get_by_role("alert")).to_contain_text("A CSV file must be chosen, got none.")
    lines = "".join(f"{row % 7},{row % 5},{'high' if row % 7 > 3 else 'low'}\n" for row in range(70))
    page.set_input_files("#file", csv_file("two.csv", f"length,width,size\n{lines}"))
    expect(page.locator("#surface-legend")).to_contain_text("size high")
    expect(page.get_by_role("alert")).to_be_empty()
    expect(page.locator("#x-axis")).to_contain_text("length")
    page.click("#run")
    wait_for_state(page, "finished")
    before = measures_of(page)
    page.reload()
    wait_for_epoch(page, lambda epoch: epoch == 20)
    assert measures_of(page) == before
    expect(page.locator("#file-name")).to_have_text("The file is two.csv.")


def test_rejected_file_does_not_replace_the_file_in_use(open_page):
    page = open_page("epochs=20&speed=0")
    wait_for_state(page, "paused")
    page.select_option("#data", "csv")
    lines = "".join(f"{row % 7},{row % 5},{'high' if row % 7 > 3 else 'low'}\n" for row in range(70))
    page.set_input_files("#file", csv_file("good.csv", f"length,width,size\n{lines}"))
    expect(page.locator("#x-axis")).to_contain_text("length")
    one_class = "a,b,c\n" + "".join(f"{row},{row % 5},same\n" for row in range(30))
    for text, message in (("a,b,c\n1,two,x\n" + "1,2,y\n" * 30, "got 'two'"), (one_class, "got 1: 'same'")):
        page.set_input_files("#file", csv_file("bad.csv", text))
        expect(page.get_by_role("alert")).to_contain_text(message)
        expect(page.locator("#file-name")).to_have_text("The file is good.csv.")
        assert page.input_value("#file") == ""
    change(page, "#learning_rate", "0.02")
    expect(page.get_by_role("alert")).to_be_empty()
    wait_until_in(page, lambda: settings_of(page)["learning_rate"] == "0.02")
    page.reload()
    wait_for_state(page, "paused")
    expect(page.get_by_role("alert")).to_be_empty()
    expect(page.locator("#x-axis")).to_contain_text("length")
    expect(page.locator("#file-name")).to_have_text("The file is good.csv.")


def test_file_that_is_chosen_while_another_one_is_sent(open_page):
    """Both files are sent before the server answers; the second one is rejected, and the first one is used or replaced by it."""
    page = open_page("data=moons&epochs=20")
    wait_for_state(page, "paused")
    page.select_option("#data", "csv")
    lines = "".join(f"{row % 7},{row % 5},{'high' if row % 7 > 3 else 'low'}\n" for row in range(70))
    one_class = "a,b,c\n" + "".join(f"{row},{row % 5},same\n" for row in range(30))
    page.evaluate(
        """(texts) => {
            const input = document.getElementById("file");
            for (const [name, text] of texts) {
                const transfer = new DataTransfer();
                transfer.items.add(new File([text], name, { type: "text/csv" }));
                input.files = transfer.files;
                input.dispatchEvent(new Event("change"));
            }
        }""",
        [["good.csv", f"length,width,size\n{lines}"], ["bad.csv", one_class]],
    )
    expect(page.get_by_role("alert")).to_contain_text("got 1: 'same'")
    is_used = "length" in page.locator("#x-axis").inner_text()
    expect(page.locator("#file-name")).to_have_text("The file is good.csv." if is_used else "")
    if is_used:
        page.reload()
        wait_for_state(page, "paused")
        expect(page.get_by_role("alert")).to_be_empty()
        expect(page.locator("#file-name")).to_have_text("The file is good.csv.")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b,c\n1,2,x\n1,two,x\n" + "1,2,y\n" * 30, "Row 3, column 'b' must be a finite number, got 'two'."),
        ("1,2\n" * 30, "Row 1 must have 3 columns (two inputs and the target), got 2."),
        ("1,2,x\n" * 200_000, "The file must have at most 1,000,000 bytes, got 1,200,000."),
    ],
)
def test_invalid_file_gets_a_message(open_page, text, message):
    page = open_page("data=moons&epoch=2")
    wait_for_epoch(page, lambda epoch: epoch == 2)
    page.select_option("#data", "csv")
    page.set_input_files("#file", csv_file("bad.csv", text))
    expect(page.get_by_role("alert")).to_contain_text(message)
    assert page.get_attribute("#file", "aria-invalid") == "true"
    page.select_option("#data", "moons")
    page.click("text=One epoch")
    wait_for_epoch(page, lambda epoch: epoch == 3)  # the training of the moons was kept


# ---------------------------------------------------------------------- other sites


def test_foreign_host_is_refused(browser, port):
    with closing(browser.new_context()) as context:
        page = context.new_page()
        response = page.goto(f"http://other-site.example:{port}/")
        assert response.status == 403
        assert "Host header must be one of" in page.inner_text("body")


class OtherSite(BaseHTTPRequestHandler):
    """An empty page of another origin."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()

    def log_message(self, *arguments):
        pass


def test_foreign_origin_is_refused(browser, port):
    with HTTPServer(("127.0.0.1", 0), OtherSite) as site, closing(browser.new_context()) as context:
        Thread(target=site.serve_forever, daemon=True).start()
        page = context.new_page()
        page.goto(f"http://127.0.0.1:{site.server_port}/")
        assert opens_socket(page, port) == "refused"
        assert page.evaluate(f"fetch('http://127.0.0.1:{port}/').then(() => 'read', () => 'refused')") == "refused"
        page.goto(f"http://127.0.0.1:{port}/")
        assert opens_socket(page, port) == "opened"
        site.shutdown()
    wait_until(lambda: not worker_threads())


def opens_socket(page, port):
    return page.evaluate(
        """(port) => new Promise((resolve) => {
          const socket = new WebSocket(`ws://127.0.0.1:${port}/session`);
          socket.onopen = () => resolve("opened");
          socket.onerror = () => resolve("refused");
        })""",
        port,
    )


# ---------------------------------------------------------------------- keyboard, screen reader, screens


def test_shortcuts(open_page):
    page = open_page(SLOW)
    wait_for_state(page, "paused")
    page.keyboard.press("t")
    expect(page.locator("#step")).to_have_text("1 of 3")
    page.keyboard.press("e")
    expect(page.locator("#epoch")).to_have_text("1")
    page.keyboard.press("s")
    wait_for_state(page, "running")
    page.keyboard.press("s")
    wait_for_state(page, "paused")
    page.keyboard.press("r")
    expect(page.locator("#epoch")).to_have_text("0")
    page.focus("#seed")
    page.keyboard.press("e")  # a character in a text field
    page.keyboard.press("Backspace")
    page.locator("summary", has_text="Keyboard shortcuts").click()
    page.get_by_label("Use these keys").uncheck()
    page.keyboard.press("e")
    page.wait_for_timeout(300)
    assert epoch_of(page) == 0


def test_all_controls_are_reached_by_the_keyboard(open_page):
    page = open_page(SLOW)
    wait_for_state(page, "paused")
    reached, outlines = [], []
    page.keyboard.press("Tab")
    expect(page.locator("#skip")).to_be_in_viewport()
    address = page.url
    page.keyboard.press("Enter")
    expect(page.locator("#views")).to_be_focused()
    assert page.url == address
    page.focus("#skip")
    for _ in range(60):
        reached.append(
            page.evaluate("document.activeElement.id || document.activeElement.ariaLabel || document.activeElement.textContent")
        )
        outlines.append(page.evaluate("getComputedStyle(document.activeElement).outlineStyle"))
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement === document.body"):
            break
    visible = page.evaluate(
        """[...document.querySelectorAll("button, input, select, summary, a")].filter((control) => control.checkVisibility())
          .map((control) => control.id || control.ariaLabel || control.textContent)"""
    )
    assert len(visible) > 25
    assert set(visible) <= set(reached)
    assert set(outlines) == {"solid"}


def test_controls_and_views_have_names(open_page):
    page = open_page(f"{SLOW}&epoch=5")
    wait_for_epoch(page, lambda epoch: epoch == 5)
    for name in (
        "Noise",
        "Rows",
        "Test share",
        "Seed",
        "Learning rate",
        "Batch size",
        "L2 penalty (alpha)",
        "Dropout",
        "Stop after epochs",
    ):
        expect(page.get_by_role("textbox", name=name, exact=True)).to_be_visible()
    for name in ("Data set", "Solver", "Epochs per second", "Hidden layer 1: activation"):
        expect(page.get_by_role("combobox", name=name, exact=True)).to_be_visible()
    expect(page.get_by_role("checkbox", name="Standardize the data")).to_be_visible()
    surface = page.get_by_role(
        "img", name=re.compile("Decision surface after 5 epochs .* accuracy of the training rows 0\\.[0-9]+")
    )
    expect(surface).to_be_visible()
    expect(
        page.get_by_role("img", name=re.compile(r"Loss \(log loss\), epochs 0 to 5: training from .* to .*; test from"))
    ).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("Gradient norms, epochs 0 to 5: layer 1 from"))).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("Hidden layer 1, unit 5: activations from 0"))).to_be_visible()
    expect(page.locator("[role=status]").first).to_contain_text("Paused at epoch 5")
    unnamed = page.evaluate(
        """[...document.querySelectorAll("input, select, button")]
          .filter((control) => !control.labels?.length && !control.ariaLabel && !control.textContent.trim())
          .map((control) => control.outerHTML)"""
    )
    assert unnamed == []


@pytest.mark.parametrize("width", [320, 390, 800, 1280])
def test_page_fits_the_width(open_page, width):
    page = open_page("layers=16-relu,16-relu,8-tanh,8-tanh,8-tanh&epoch=2", width=width)
    wait_for_epoch(page, lambda epoch: epoch == 2)
    assert page.locator("#settings").is_visible() == (width > 832)  # folded on a narrow screen
    page.evaluate("document.querySelectorAll('details').forEach((details) => { details.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    outside = page.evaluate(
        """[...document.querySelectorAll("button, input, select, canvas, svg.chart, p, li")]
          .filter((part) => part.checkVisibility() && !part.closest(".scroll, pre, .skip"))
          .filter((part) => part.getBoundingClientRect().right > innerWidth + 1).map((part) => part.outerHTML)"""
    )
    assert outside == []


# The contrast of each text with the background, by the formula of WCAG 2.2; texts with too little contrast are returned.
LOW_CONTRAST = """() => {
  const parse = (text) => text.match(/[0-9.]+/g).map(Number);
  const channel = (value) => value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4;
  const luminance = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const background = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = parse(getComputedStyle(at).backgroundColor);
      if (color.length === 3 || color[3] > 0) return color;
    }
    return [255, 255, 255];
  };
  const low = [];
  for (const element of document.querySelectorAll("body *")) {
    const hasText = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!element.checkVisibility() || element.closest("[disabled], noscript")) continue;
    if (!hasText && !element.matches("input, select")) continue;
    const style = getComputedStyle(element), color = parse(element.closest("svg") ? style.fill : style.color);
    const [a, b] = [luminance(color), luminance(background(element))].sort((x, y) => y - x);
    const contrast = (a + 0.05) / (b + 0.05);
    if (contrast < 4.5) low.push(`${element.tagName} ${element.textContent.slice(0, 30)} ${contrast}`);
  }
  return low;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast_of_texts(open_page, scheme):
    page = open_page("epoch=3", color_scheme=scheme)
    wait_for_epoch(page, lambda epoch: epoch == 3)
    page.evaluate("document.querySelectorAll('details').forEach((details) => { details.open = true; })")
    change(page, "#noise", "x")
    expect(page.get_by_role("alert")).not_to_be_empty()
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(22, 24, 29)"
    assert dark == (scheme == "dark")
    assert page.evaluate(LOW_CONTRAST) == []


def test_reduced_motion_draws_seldom(open_page):
    drawn = []
    for motion in ("reduce", "no-preference"):
        page = open_page(f"{SLOW}&speed=100", reduced_motion=motion)
        wait_for_state(page, "paused")
        page.evaluate(
            """() => { window.changes = 0; new MutationObserver(() => { window.changes += 1; })
              .observe(document.getElementById("epoch"), { childList: true, characterData: true, subtree: true }); }"""
        )
        page.click("#run")
        page.wait_for_timeout(3000)
        drawn.append(page.evaluate("window.changes"))
        page.close()
    assert 1 <= drawn[0] <= 4 < drawn[1]
