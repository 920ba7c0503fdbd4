import json
import socket
import threading
from importlib.resources import files

import pytest
from codecarbon.external.hardware import CPU, GPU
from codecarbon.external.ram import RAM

from laghu.energy import _source, grid_intensity, track
from laghu.errors import LaghuError

MIX = json.loads((files("codecarbon") / "data/private_infra/global_energy_mix.json").read_text())
JOULES_PER_KWH = 3.6e6
RAM_WATTS = 36


def work() -> int:
    return sum(i * i for i in range(3_000_000))


@pytest.fixture
def started():
    """Threads that were started during the test and live on, or have handed over to others: a tracker not stopped."""
    before = set(threading.enumerate())

    def _started() -> set[threading.Thread]:
        for thread in set(threading.enumerate()) - before:
            thread.join(timeout=30)
        return set(threading.enumerate()) - before

    return _started


@pytest.fixture
def connections(monkeypatch):
    """Every attempt to reach the network."""
    attempts = []
    monkeypatch.setattr(socket.socket, "connect", lambda self, address: attempts.append(address))
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *args, **kwargs: attempts.append(host) or [])
    return attempts


def test_components_add_up_and_follow_the_grid(monkeypatch, tmp_path, connections, started):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CODECARBON_FORCE_RAM_POWER", str(RAM_WATTS))
    # What a user's configuration may hold does not make an offline measurement talk.
    monkeypatch.setenv("CODECARBON_EMISSIONS_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("CODECARBON_ELECTRICITYMAPS_API_TOKEN", "token")
    monkeypatch.setenv("CODECARBON_OUTPUT_METHODS", "csv")
    with track("FRA") as energy:
        assert energy.kwh != energy.kwh  # nan: nothing known yet
        work()
    assert energy.grid_g_per_kwh == MIX["FRA"]["carbon_intensity"]
    assert energy.kwh == pytest.approx(sum(energy.components.values()))
    assert energy.co2e_kg == pytest.approx(energy.kwh * MIX["FRA"]["carbon_intensity"] / 1000)
    assert energy.components["cpu"] > 0
    # The power of the memory is given here, so its energy is known; codecarbon may leave out the last 50 ms.
    full = RAM_WATTS * energy.seconds / JOULES_PER_KWH
    assert 0.5 * full < energy.components["ram"] <= full
    assert energy.source.keys() == energy.components.keys()
    assert energy.source["ram"] == "estimated"
    assert connections == []
    assert list(tmp_path.iterdir()) == []
    assert started() == set()


def test_an_exception_passes_and_stops_the_tracker(started):
    with pytest.raises(ZeroDivisionError), track() as energy:
        work()
        _ = 1 / 0
    assert started() == set()
    assert energy.kwh > 0
    assert energy.grid_g_per_kwh == MIX["IND"]["carbon_intensity"]


@pytest.mark.parametrize("country", ["XXX", "IN", "ind", ""])
def test_unknown_country_is_refused(country):
    with pytest.raises(LaghuError, match=f"country '{country}'"), track(country):
        pytest.fail("the block must not run")


def test_intensities_are_those_of_the_table():
    assert {country: grid_intensity(country) for country in MIX} == {k: v["carbon_intensity"] for k, v in MIX.items()}


def test_counters_are_measured_and_models_estimated(tmp_path):
    package = tmp_path / "intel-rapl" / "intel-rapl:0"
    package.mkdir(parents=True)
    for name, value in {"name": "package-0", "energy_uj": 10**6, "max_energy_range_uj": 10**12}.items():
        (package / name).write_text(str(value))
    rapl = CPU(str(tmp_path), "intel_rapl", "a processor", 100, rapl_dir=str(tmp_path))
    assert _source(rapl) == ("cpu", "measured")
    for mode in ("cpu_load", "constant"):
        assert _source(CPU(str(tmp_path), mode, "a processor", 100)) == ("cpu", "estimated")
    assert _source(RAM()) == ("ram", "estimated")
    assert _source(GPU(gpu_ids=[0])) == ("gpu", "measured")
    assert _source(GPU(gpu_ids=[])) == ("gpu", "absent")
    with pytest.raises(LaghuError, match="str"):
        _source("fan")
