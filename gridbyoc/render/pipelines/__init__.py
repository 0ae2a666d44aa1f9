"""Pipelines for CI engines that run gridbyoc as a team would by hand. Text only."""

from gridbyoc.render.pipelines.engines import ENGINES, Engine, EngineName, is_ours, render_pipeline
from gridbyoc.render.pipelines.settings import PipelineSettings, PipelineStack

__all__ = ["ENGINES", "Engine", "EngineName", "PipelineSettings", "PipelineStack", "is_ours", "render_pipeline"]
