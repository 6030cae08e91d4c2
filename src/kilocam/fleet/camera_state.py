"""A camera's state in the store, and how it follows from what somebody says of the camera."""

from dataclasses import fields
from typing import Any

from kilocam.core.settings import LEAST_WEIGHT, MOST_WEIGHT
from kilocam.database import Row
from kilocam.fleet.addresses import check_address, display_address
from kilocam.fleet.errors import Invalid, Unsealable
from kilocam.fleet.sealing import Seal
from kilocam.fleet.values import UNSET, Assignment, Camera, CameraChange, CameraInput

_KEEP_MOST_US = 36_525 * 86_400_000_000


def shown(row: Row) -> Camera:
    """A stored camera as it may be seen."""
    return Camera(**{field.name: row[field.name] for field in fields(Camera)})


class CameraStates:
    """States with their addresses sealed."""

    def __init__(self, seal: Seal) -> None:
        self._seal = seal

    def state(self, tenant: str, camera: CameraInput) -> dict[str, Any]:
        """What is noted of `camera`: addresses shown and sealed. `Any`: JSON.

        Raises:
            Invalid: a value cannot be taken.
        """
        if camera.keep_us is not None and camera.keep_us <= 0:
            raise Invalid(f"camera {camera.id!r}: keep must be longer than nothing, for example 7d")
        if camera.keep_us is not None and camera.keep_us > _KEEP_MOST_US:
            raise Invalid(f"camera {camera.id!r}: keep is longer than 100 years: shorten it")
        if not LEAST_WEIGHT <= camera.weight <= MOST_WEIGHT:
            raise Invalid(
                f"camera {camera.id!r}: weight {camera.weight:g} is not possible: "
                f"give one from {LEAST_WEIGHT:g} to {MOST_WEIGHT:g}"
            )
        context = f"{tenant}/{camera.id}"
        detect = camera.detect_url and check_address(camera.id, camera.detect_url)
        return {
            "url": display_address(check_address(camera.id, camera.url)),
            "detect_url": display_address(detect) if detect else "",
            "sealed_url": self._seal.seal(camera.url, context),
            "sealed_detect_url": self._seal.seal(detect, context) if detect else "",
            "transport": camera.transport,
            "keep_us": camera.keep_us,
            "enabled": camera.enabled,
            "weight": camera.weight,
        }

    def assignment(self, row: Row) -> Assignment:
        """A stored camera with its credentials.

        Raises:
            Unsealable: they cannot be read with the keys there are.
        """
        return Assignment(
            tenant=row["tenant"],
            camera=row["id"],
            url=self._open(row, "url"),
            detect_url=self._open(row, "detect_url"),
            transport=row["transport"],
            keep_us=row["keep_us"],
            version=row["version"],
        )

    def same(self, row: Row, camera: CameraInput) -> bool:
        """Whether the stored camera is already as `camera` says."""
        try:
            now = self.assignment(row)
        except Unsealable:
            return False
        kept = (now.url, now.detect_url, now.transport, now.keep_us, row["enabled"], row["weight"])
        return kept == (
            camera.url, camera.detect_url, camera.transport, camera.keep_us, camera.enabled,
            camera.weight,
        )  # fmt: skip

    def changed(self, row: Row, change: CameraChange) -> CameraInput:
        """The stored camera with `change` made to it.

        Raises:
            Unsealable: an address that stays cannot be read with the keys there are.
        """
        return CameraInput(
            id=row["id"],
            url=self._address(row, "url", change.url),
            detect_url=self._address(row, "detect_url", change.detect_url),
            transport=row["transport"] if change.transport is UNSET else change.transport,
            keep_us=row["keep_us"] if change.keep_us is UNSET else change.keep_us,
            enabled=row["enabled"] if change.enabled is UNSET else change.enabled,
            weight=row["weight"] if change.weight is UNSET else change.weight,
        )

    def _address(self, row: Row, name: str, wanted: Any) -> str:
        # `Any`: str or UNSET; a field of either type is handed in.
        if wanted is UNSET or (wanted and wanted == row[name]):
            return self._open(row, name)
        return str(wanted)

    def _open(self, row: Row, name: str) -> str:
        sealed = row[f"sealed_{name}"]
        return self._seal.unseal(sealed, f"{row['tenant']}/{row['id']}") if sealed else ""
