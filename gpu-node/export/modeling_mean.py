"""Classifiers on the mean of the last hidden states: what adapters with `pooling: mean` load into.

Their parameters are named as those of transformers' own classifiers, so PEFT's files fit both.
"""

import torch
from transformers import BertModel, BertPreTrainedModel, DistilBertForSequenceClassification, RobertaForSequenceClassification
from transformers import XLMRobertaForSequenceClassification
from transformers.modeling_outputs import SequenceClassifierOutput


def mean_of_tokens(hidden, attention_mask):
    # A prefix has a mask before the text's, and no hidden states.
    mask = attention_mask[:, -hidden.shape[1] :].unsqueeze(-1).to(hidden.dtype)
    return (hidden * mask).sum(1) / mask.sum(1).clamp(min=1e-9)


def classified(logits, labels):
    loss = None if labels is None else torch.nn.functional.cross_entropy(logits, labels)
    return SequenceClassifierOutput(loss=loss, logits=logits)


class BertMeanForSequenceClassification(BertPreTrainedModel):
    def __init__(self, config):
        super().__init__(config)
        self.num_labels = config.num_labels
        self.bert = BertModel(config, add_pooling_layer=False)
        self.classifier = torch.nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    def forward(
        self,
        input_ids=None,
        attention_mask=None,
        token_type_ids=None,
        labels=None,
        inputs_embeds=None,
        past_key_values=None,
        **_,
    ):
        prompt = {"inputs_embeds": inputs_embeds, "past_key_values": past_key_values}
        hidden = self.bert(input_ids, attention_mask, token_type_ids, **prompt).last_hidden_state
        return classified(self.classifier(mean_of_tokens(hidden, attention_mask)), labels)


class RobertaMeanForSequenceClassification(RobertaForSequenceClassification):
    def forward(
        self, input_ids=None, attention_mask=None, labels=None, inputs_embeds=None, past_key_values=None, **_
    ):
        prompt = {"inputs_embeds": inputs_embeds, "past_key_values": past_key_values}
        hidden = self.roberta(input_ids, attention_mask, **prompt).last_hidden_state
        # The head reads the first token, which is the only one here.
        return classified(self.classifier(mean_of_tokens(hidden, attention_mask).unsqueeze(1)), labels)


class XLMRobertaMeanForSequenceClassification(XLMRobertaForSequenceClassification):
    forward = RobertaMeanForSequenceClassification.forward


class DistilBertMeanForSequenceClassification(DistilBertForSequenceClassification):
    def forward(self, input_ids=None, attention_mask=None, inputs_embeds=None, labels=None, **_):
        hidden = self.distilbert(input_ids, attention_mask, inputs_embeds=inputs_embeds).last_hidden_state
        inner = torch.relu(self.pre_classifier(mean_of_tokens(hidden, attention_mask)))
        return classified(self.classifier(self.dropout(inner)), labels)


MEAN_CLASSIFIERS = {
    "bert": BertMeanForSequenceClassification,
    "roberta": RobertaMeanForSequenceClassification,
    "xlm-roberta": XLMRobertaMeanForSequenceClassification,
    "distilbert": DistilBertMeanForSequenceClassification,
}
